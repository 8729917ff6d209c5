"""What the page on callbacks shows works as it stands there."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from callback_runs import failed, make_run

from flownb import callbacks
from flownb.callbacks import stored
from flownb.callbacks.message import facts
from flownb.callbacks.settings import READY_MADE, from_settings

PAGE = (Path(__file__).parent.parent / "docs" / "callbacks.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("block", blocks("toml"))
def test_each_setting_makes_callbacks(block: str) -> None:
    settings: dict[str, Any] = tomllib.loads(block)
    settings = settings.get("environments", {}).get("nightly", settings)
    for name in settings:
        made = from_settings(settings[name], name)
        assert made
        assert stored.deserialize(stored.serialize(made)) == made


@pytest.mark.parametrize(
    "block", [block for block in blocks("python") if block.startswith(tuple(READY_MADE))]
)
@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
def test_each_example_makes_a_callback_that_is_stored(block: str) -> None:
    for line in block.splitlines():
        made = eval(line, {name: getattr(callbacks, name) for name in READY_MADE})
        assert stored.deserialize(stored.serialize(made)) == (made,)


def test_every_ready_made_callback_is_shown_in_python_and_in_a_setting() -> None:
    for name in READY_MADE:
        assert any(f"{name}(" in block for block in blocks("python"))
        assert any(f'callback = "{name}"' in block for block in blocks("toml"))


def test_the_body_shown_has_the_fields_of_a_real_one(project: Path) -> None:
    (shown,) = (json.loads(block) for block in blocks("json"))
    told = facts(failed(project))
    assert list(shown) == ["text", *told]
    assert list(shown["error"]) == list(told["error"])
    assert facts(make_run(project, "another"))["error"] is None
