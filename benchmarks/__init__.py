"""What flownb costs, each figure beside its peer, measured in the same run: `python -m benchmarks`."""
