"""What the guide shows of capturing works as it stands there: its cells are one notebook."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from shell import ipython

GUIDE = (Path(__file__).parent.parent / "docs" / "guide.md").read_text(encoding="utf-8")
NOTEBOOK = GUIDE.partition("\n## Storage")[0]
ORDERS = "id,price\n1,{}\n2,\n3,30.0\n"


def blocks(language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)\n```$", NOTEBOOK, re.DOTALL | re.MULTILINE)
    return [block for kind, block in found if kind == language]


@pytest.mark.kernel
@pytest.mark.filterwarnings("ignore:.*figure.*:UserWarning")
def test_the_cells_of_the_guide_run_and_say_what_it_says(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MPLBACKEND", "agg")
    (project / "orders.csv").write_text(ORDERS.format("10.0"))
    with ipython() as shell:
        shell.ok("import flownb")
        shown = {source: shell.ok(source).text for source in blocks("python")}
        checked = shown["%flow check sales"]
        (project / "orders.csv").write_text(ORDERS.format("11.0"))
        differing = shell.ok("%flow check takings").text
        assert shell.live.flow("sales").version in GUIDE
        assert shell.live.flow("scale").run(n=5) == {"result": (10, 10)}
        assert shell.live.flow("takings").run(size=3)["picked"]["price"].max() == 30

    takings = next(text for source, text in shown.items() if source.startswith("%%flow takings"))
    assert re.search(r"replays 6 statements of In\[\d+\]", takings)
    texts = blocks("")
    for text, start in ((checked, "✓ sales runs"), (differing, "✗ 2 of 2 values")):
        assert next(block for block in texts if block.startswith(start)) in text
    march = next(text for source, text in shown.items() if source.startswith("%%flow march"))
    told = next(block for block in texts if block.startswith("✓ captured march"))
    differ = r"version \w+|since .{16} UTC|[\d.]+ k?B"
    assert _words(re.sub(differ, "", told)) in _words(re.sub(differ, "", march))


def _words(text: str) -> str:
    """Return a text without its breaks of lines, which are where the screen ends."""
    return " ".join(text.split())
