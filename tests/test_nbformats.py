"""nbformat is imported quickly, and whoever needs what was left out gets it."""

from __future__ import annotations

import subprocess
import sys

import pytest

AFTER = "from flownb.document import import_nbformat\nimport_nbformat()\nimport nbformat, sys\n"

CHECK = """
from jsonschema import Draft202012Validator as Validator
addresses = Validator({"format": "iri"}, format_checker=Validator.FORMAT_CHECKER)
print(addresses.is_valid("http://münchen.example/straße"), addresses.is_valid("no address"))
"""


def printed(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_the_grammar_of_addresses_is_not_compiled_for_it() -> None:
    assert printed(AFTER + "print('rfc3987_syntax' in sys.modules, 'lark' in sys.modules)") == ["False"] * 2


@pytest.mark.kernel  # seconds of the grammar, as in the next
def test_jsonschema_checks_addresses_all_the_same_and_who_imports_the_grammar_gets_it() -> None:
    real = "from rfc3987_syntax import is_valid_syntax as it; print(it.__module__.partition('.')[0])"
    assert printed(AFTER + CHECK + real) == ["True", "False", "rfc3987_syntax"]


@pytest.mark.kernel
def test_what_is_imported_already_stays() -> None:
    code = f"import jsonschema, sys\nthere = sys.modules['rfc3987_syntax']\n{AFTER}"
    assert printed(code + "print(sys.modules['rfc3987_syntax'] is there)" + CHECK) == [
        "True",
        "True",
        "False",
    ]


WITHOUT = """
from importlib.machinery import PathFinder
find = PathFinder.find_spec
PathFinder.find_spec = lambda name, *more: None if name == "rfc3987_syntax" else find(name, *more)
"""

CHECKERS = """
from jsonschema import FormatChecker
print("iri" in FormatChecker.checkers, "uri" in FormatChecker.checkers, "rfc3987_syntax" in sys.modules)
"""


def test_where_it_is_not_installed_no_check_is_promised() -> None:
    assert printed(WITHOUT + AFTER + CHECKERS) == ["False", "True", "False"]
    assert printed(AFTER + CHECKERS) == ["True", "True", "False"]
