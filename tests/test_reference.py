"""Flow references and locations, as text."""

from __future__ import annotations

import pytest

from flownb.errors import FlownbError, NameRefusedError, StorageError
from flownb.storage import parse_reference
from flownb.storage.reference import location, split_location


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (".#co2", (".", "co2", None)),
        (".#co2@v1.2", (".", "co2", "v1.2")),
        ("git#co2", ("git", "co2", None)),
        (".#co2@feature/eu/2026", (".", "co2", "feature/eu/2026")),
        (".#co2@HEAD~2", (".", "co2", "HEAD~2")),
        (".#co2@main@{1}", (".", "co2", "main@{1}")),
        (".#daily sales@2026-01-31 12:00", (".", "daily sales", "2026-01-31 12:00")),
        (".#co2@2 days ago", (".", "co2", "2 days ago")),
        (".#co2@2026-01-31T12:00:00+02:00", (".", "co2", "2026-01-31T12:00:00+02:00")),
        ("git@host:team/flows.git#sales@4f2c91e", ("git@host:team/flows.git", "sales", "4f2c91e")),
        ("git@host:x#name@v", ("git@host:x", "name", "v")),
        ("ssh://git@host:2222/x.git#name@v", ("ssh://git@host:2222/x.git", "name", "v")),
        ("https://host/team/flows.git#été", ("https://host/team/flows.git", "été", None)),
        ("s3://bucket/flows#sales@4f2c91e", ("s3://bucket/flows", "sales", "4f2c91e")),
        ("memory://x#a", ("memory://x", "a", None)),
        ("https://host/flows", ("https://host/flows", None, None)),
        ("git@host:team/flows.git", ("git@host:team/flows.git", None, None)),
        ("dir:a b/#x", ("dir:a b/", "x", None)),
        ("a@b.ipynb#x@y", ("a@b.ipynb", "x", "y")),
    ],
)
def test_a_reference_names_store_flow_and_version(
    text: str, expected: tuple[str, str | None, str | None]
) -> None:
    reference = parse_reference(text)
    assert (reference.store, reference.name, reference.version) == expected
    assert str(reference) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "#",
        "#co2",
        ".#",
        ".#@v",
        ".#co2@",
        ".#co2@ v",
        ".#co2@v ",
        ".#co2@-x",
        ".#co2@--upload-pack=touch x",
        ".#co2@v\n1",
        ".#co2@v\x1b[31m",
        ".#co2@v\u202e1",
        ".#co2@v\0",
        ".\0#co2",
        "a\nb#co2",
        "x\x1b]0;y\x07#co2",
        ".#../co2",
        ".#a/b",
    ],
)
def test_what_is_no_reference_is_refused_in_one_plain_line(text: str) -> None:
    with pytest.raises(FlownbError) as caught:
        parse_reference(text)
    assert str(caught.value).isprintable()


def test_a_location_is_split_into_what_it_was_made_of() -> None:
    assert split_location(location("daily sales", "v/1 b:c@d")) == ("daily sales", "v/1 b:c@d")
    assert split_location(location("co2")) == ("co2", None)
    with pytest.raises(StorageError, match="leave the @ out"):
        split_location("co2@")
    with pytest.raises(NameRefusedError):
        split_location("a.b@c")
