"""Secrets: shown to nobody, pickled by nothing, found in every form that a text can hold them in."""

from __future__ import annotations

import base64
import copy
import html
import json
import pickle
import traceback
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flownb.parameters import Redactor, Secret, context_of, is_secret, redact

VALUE = "hunter2/+'\"\\ß\n<&>"


def test_a_secret_is_a_text_that_does_not_show_itself() -> None:
    secret = Secret("hunter2")
    assert secret == "hunter2"
    assert isinstance(secret, str)
    assert (str(secret), f"{secret}", secret + "!", len(secret)) == ("hunter2", "hunter2", "hunter2!", 7)
    assert type(str(secret)) is str
    assert repr(secret) == "Secret('***')"
    assert "hunter2" not in repr([secret]) + repr({"a": (secret,)}) + f"{secret!r}" + f"{[secret]}"
    assert hash(secret) == hash("hunter2")


def test_ipython_shows_it_hidden() -> None:
    from IPython.lib import pretty

    assert pretty.pretty({"a": Secret("hunter2")}) == "{'a': Secret('***')}"


def test_a_traceback_with_the_values_of_variables_hides_it() -> None:
    secret = Secret("hunter2")
    try:
        int(secret + "x"[len(secret) :])
    except ValueError as error:
        shown = traceback.TracebackException.from_exception(error, capture_locals=True).stack[0].locals
    assert shown is not None
    assert shown["secret"] == "Secret('***')"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_secret_is_not_pickled(protocol: int) -> None:
    with pytest.raises(TypeError, match="a Secret is not pickled"):
        pickle.dumps({"a": Secret("hunter2")}, protocol)


def test_a_secret_is_not_pickled_by_cloudpickle_either() -> None:
    import cloudpickle

    secret = Secret("hunter2")
    with pytest.raises(TypeError, match="a Secret is not pickled"):
        cloudpickle.dumps(lambda: secret)


def test_a_secret_is_copied_as_the_text_it_is() -> None:
    secret = Secret("hunter2")
    assert copy.copy(secret) is secret
    assert copy.deepcopy([secret])[0] is secret


def test_pydantic_takes_text_and_writes_stars() -> None:
    from pydantic import TypeAdapter, ValidationError

    adapter = TypeAdapter(Secret)
    assert isinstance(adapter.validate_python("hunter2"), Secret)
    assert adapter.dump_json(Secret("hunter2")) == b'"***"'
    with pytest.raises(ValidationError):
        adapter.validate_python(5)


SECRETS = [
    ("Secret", "from flownb import Secret", True),
    ("flownb.Secret", "import flownb", True),
    ("f.Secret", "import flownb as f", True),
    ("Password", "from flownb import Secret as Password", True),
    ("Password", "from flownb import Secret\nPassword = Secret", True),
    ("Secret | None", "from flownb import Secret", True),
    ("Optional[Secret]", "from flownb import Secret\nfrom typing import Optional", True),
    ("list[Secret]", "from flownb import Secret", True),
    ("Annotated[Secret, 5]", "from flownb import Secret", True),
    ("'Secret'", "from flownb import Secret", True),
    ("list['Secret']", "from flownb import Secret", True),
    ("SecretStr", "from pydantic import SecretStr", True),
    ("pydantic.SecretBytes", "import pydantic", True),
    ("Secret", "", True),
    ("x.Secret", "", True),
    ("Secret", "from flownb import *", True),
    ("Secret", "Secret = str", False),
    ("Secret", "class Secret: ...", False),
    ("Secret", "from elsewhere import Secret", False),
    ("str", "from flownb import Secret", False),
    ("Literal['Secret', 'Public']", "from typing import Literal", False),
    ("", "", False),
    ("Secret[", "", True),
    ("A", "A = B\nB = A", False),
]


@pytest.mark.parametrize(
    ("annotation", "source", "expected"), SECRETS, ids=[f"{a} / {s}" for a, s, _ in SECRETS]
)
def test_a_type_that_mentions_secret_is_one(annotation: str, source: str, expected: bool) -> None:
    assert is_secret(annotation, context_of(source)) is expected


FORMS = [
    VALUE,
    repr(VALUE),
    repr([VALUE]),
    ascii(VALUE),
    repr("before" + VALUE + "'\"after"),
    str(VALUE.encode()),
    json.dumps(VALUE),
    json.dumps({"a": [VALUE]}, ensure_ascii=False),
    json.dumps("x" + VALUE + "y"),
    quote(VALUE),
    quote(VALUE, safe=""),
    quote_plus(VALUE),
    urlencode({"password": VALUE}),
    quote(VALUE, safe="").lower(),
    html.escape(VALUE),
    html.escape(VALUE, quote=False),
    base64.b64encode(VALUE.encode()).decode(),
    base64.urlsafe_b64encode(VALUE.encode()).decode().rstrip("="),
    base64.b64encode(f"user:{VALUE}".encode()).decode(),
    base64.b64encode(f"u:{VALUE}:more".encode()).decode(),
    base64.b64encode(f"us:{VALUE}:more".encode()).decode(),
    f"https://me:{quote(VALUE, safe='')}@host/",
]


@pytest.mark.parametrize("form", FORMS)
def test_a_secret_is_found_in_every_form(form: str) -> None:
    found = redact(f"<<{form}>> and {form}", [VALUE])
    assert found.count("***") >= 2
    assert "hunter2" not in found
    for core in (base64.b64encode(VALUE.encode())[4:16].decode(), "aHVudGVyMi8"):
        assert core not in found


REDACTED = [
    ("nothing here", ["hunter2"], "nothing here"),
    ("", ["hunter2"], ""),
    ("hunter2", [""], "hunter2"),
    ("hunter2", [], "hunter2"),
    ("hunter2hunter2", ["hunter2"], "******"),
    ("abcabcabc", ["abcabc"], "***"),
    ("hunter22", ["hunter2", "hunter22"], "***"),
    ("abcdef", ["abcd", "cdef"], "***"),
    ("a***b", ["*"], "a*********b"),
    ("Hunter2", ["hunter2"], "Hunter2"),
    ("x 1234 y", ["1234"], "x *** y"),
    ("a.c abc", ["a.c"], "*** abc"),
    ("pass\nword1234 and word1234", ["pass\nword1234"], "*** and ***"),
]


@pytest.mark.parametrize(("text", "secrets", "expected"), REDACTED)
def test_every_occurrence_becomes_three_stars(text: str, secrets: list[str], expected: str) -> None:
    assert redact(text, secrets) == expected


def test_the_lines_of_a_key_are_found_one_by_one() -> None:
    key = "-----BEGIN KEY-----\nabcdefghijklmnop\nqrstuvwxyz\n-----END KEY-----\n"
    indented = "\n".join("    " + line for line in key.splitlines())
    assert "abcdefgh" not in redact(indented + json.dumps(key.splitlines()), [key])


def test_a_secret_itself_is_taken_too() -> None:
    assert redact("a hunter2 b", [Secret("hunter2")]) == "a *** b"


def test_a_redactor_is_quick_on_long_texts() -> None:
    import time

    change = Redactor(["hunter2-hunter2"])
    begun = time.monotonic()
    assert change("x" * 5_000_000).endswith("x")
    assert time.monotonic() - begun < 2


@given(st.text(min_size=1), st.text(), st.text())
def test_no_secret_is_left_whatever_is_around_it(secret: str, before: str, after: str) -> None:
    for text in (before + secret + after, repr(before + secret + after), json.dumps(before + secret + after)):
        found = redact(text, [secret])
        if "*" not in secret:
            assert secret not in found
