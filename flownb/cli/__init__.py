"""The `flownb` command."""

from flownb.cli.group import main

__all__ = ["main"]
