"""Names of files for names of flows: there and back, and apart where file systems are not exact."""

from __future__ import annotations

import hashlib
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flownb.errors import NameRefusedError
from flownb.flow import check_name
from flownb.storage.filenames import file_name, flow_name, is_hashed

names = (
    st.text(st.characters(categories=["L", "M", "N"], include_characters="_- "), min_size=1, max_size=100)
    .map(lambda text: unicodedata.normalize("NFC", re.sub(" +", " ", text).strip(" -")))
    .filter(lambda text: 0 < len(text) <= 100)
)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("co2", "co2.ipynb"),
        ("daily-sales_3", "daily-sales_3.ipynb"),
        ("CO2", "~43~4f2.ipynb"),
        ("daily sales", "daily~20sales.ipynb"),
        ("été", "~c3~a9t~c3~a9.ipynb"),
        ("con", "~63on.ipynb"),
        ("CON", "~43~4f~4e.ipynb"),
        ("com1", "~63om1.ipynb"),
        ("com10", "com10.ipynb"),
        ("console", "console.ipynb"),
    ],
)
def test_a_flow_has_a_file_and_the_file_its_flow(name: str, file: str) -> None:
    assert file_name(name) == file
    assert flow_name(file) == name


@given(names)
def test_every_name_becomes_a_file_that_every_file_system_takes(name: str) -> None:
    file = file_name(name)
    assert re.fullmatch(r"[a-z0-9_~][a-z0-9_~-]{0,199}\.ipynb", file)
    assert not re.match(r"(con|prn|aux|nul|com\d|lpt\d)\.", file)
    assert flow_name(file) == (None if is_hashed(file) else name)


@given(names, names)
def test_two_flows_never_share_a_file(one: str, other: str) -> None:
    assert (one == other) == (file_name(one) == file_name(other))


@pytest.mark.parametrize(
    "pair", [("test", "TEST"), ("straße", "strasse"), ("ﬁle", "file"), ("ı", "i"), ("µ", "μ")]
)
def test_names_that_file_systems_confuse_stay_apart(pair: tuple[str, str]) -> None:
    assert len({unicodedata.normalize("NFKC", file_name(name)).casefold() for name in pair}) == 2


def test_both_forms_of_a_letter_are_one_name_and_one_file() -> None:
    assert file_name("e\u0301t") == file_name("\u00e9t")


def test_a_name_too_long_for_a_file_is_hashed() -> None:
    name = "数" * 100
    assert file_name(name) == f"~~{hashlib.sha256(name.encode()).hexdigest()[:40]}.ipynb"
    assert is_hashed(file_name(name))
    assert flow_name(file_name(name)) is None
    assert not is_hashed(file_name("数" * 22))
    assert flow_name(file_name("数" * 22)) == "数" * 22


@pytest.mark.parametrize(
    "file",
    [
        "CO2.ipynb",
        "co2",
        "co2.txt",
        ".ipynb",
        "a b.ipynb",
        "~61.ipynb",
        "con.ipynb",
        "-a.ipynb",
        "~2e~2e.ipynb",
        "~2f.ipynb",
        "~zz.ipynb",
        "~ff.ipynb",
        "~4E.ipynb",
        "a~20.ipynb",
        "e~cc~81.ipynb",
        "a.ipynb\n",
        "~.ipynb",
        "é.ipynb",
    ],
)
def test_a_file_that_no_flow_gave_is_no_flow(file: str) -> None:
    assert flow_name(file) is None
    assert not is_hashed(file)


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a\0", "-x", "a  b", "x" * 101])
def test_what_is_no_name_has_no_file(name: str) -> None:
    with pytest.raises(NameRefusedError):
        check_name(name)
    with pytest.raises(NameRefusedError):
        file_name(name)
