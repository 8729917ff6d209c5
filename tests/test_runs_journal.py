from __future__ import annotations

import os
import resource
import signal
from pathlib import Path

import pytest

from flownb.errors import RecordError
from flownb.runs.journal import Journal, events


def test_events_come_back_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    assert list(events(path)) == []
    with Journal(path) as journal:
        journal.cell(0, {"id": "a", "source": "x = '\u2028\n\ud800ä'"})
        journal.state("Running")
        journal.metadata({"kernelspec": {}})
    assert list(events(path)) == [
        {"event": "cell", "index": 0, "cell": {"id": "a", "source": "x = '\u2028\n\ud800ä'"}},
        {"event": "state", "state": "Running", "error": None},
        {"event": "metadata", "metadata": {"kernelspec": {}}},
    ]


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_line_that_was_cut_short_is_left_out_and_spoils_none_after_it(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.state("Pending")
        journal.state("Running")
    path.write_bytes(path.read_bytes()[:-cut])
    before = [event["state"] for event in events(path)]
    assert before == (["Pending", "Running"] if cut == 1 else ["Pending"])
    with Journal(path) as journal:
        journal.state("Failed")
    assert [event["state"] for event in events(path)] == [*before, "Failed"]


def test_what_is_no_event_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b'[1]\n"x"\n\n\xff\xfe\n{"a": 1}\n{"event": "state", "state": "x"}\n')
    assert [event["event"] for event in events(path)] == ["state"]


def test_appending_costs_what_the_line_is_long_whatever_stands_before(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.cell(0, {"source": "x" * 20_000_000})
        written = _written()
        for index in range(200):
            journal.cell(index, {"source": "y" * 100})
        if written is not None:
            assert _written() - written < 200 * 1_000  # type: ignore[operator]  # it is there both times


def _written() -> int | None:
    try:
        lines = Path("/proc/self/io").read_text().splitlines()
    except OSError:
        return None
    return next(int(line.split()[1]) for line in lines if line.startswith("wchar"))


def test_a_full_disk_is_an_error_and_leaves_no_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.state("Pending")
        before = path.read_bytes()
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
            with pytest.raises(RecordError, match="File too large"):
                journal.cell(0, {"source": "x" * 50_000})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, handler)
        assert path.read_bytes() == before
        journal.state("Failed")
    assert [event["state"] for event in events(path)] == ["Pending", "Failed"]


def test_a_journal_that_cannot_be_opened_says_why(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="No such file or directory"):
        Journal(tmp_path / "no" / "journal.jsonl").state("Pending")
    with pytest.raises(RecordError, match="Is a directory"):
        list(events(tmp_path))


def test_a_closed_journal_holds_no_file_open(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.state("Pending")
    opened = set(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else set()
    journal.close()
    journal.close()
    if opened:
        assert len(os.listdir("/proc/self/fd")) < len(opened)
