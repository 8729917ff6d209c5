"""A template is stale when what it was made of has changed."""

from __future__ import annotations

import os
import sys
import time

import pytest

from flownb.engine.fork.interpreter import Launch
from flownb.engine.fork.stale import Fingerprint, fingerprint, is_stale


@pytest.fixture
def home(tmp_path):
    (tmp_path / ".ipython" / "profile_default" / "startup").mkdir(parents=True)
    packages = tmp_path / "venv" / "lib" / "python3.12" / "site-packages"
    (packages / "numbers_of_mine").mkdir(parents=True)
    (packages / "numbers_of_mine" / "__init__.py").write_text("")
    (tmp_path / "venv" / "bin").mkdir()
    (tmp_path / "venv" / "bin" / "python").write_text("")
    return tmp_path


def launch(home, **env):
    python = str(home / "venv" / "bin" / "python")
    return Launch((python,), (), tuple(sorted({"HOME": str(home), **env}.items())))


def test_what_has_not_changed_is_not_stale(home):
    assert not is_stale(fingerprint(launch(home), ["numbers_of_mine"]))


@pytest.mark.parametrize(
    "path",
    [
        "venv/lib/python3.12/site-packages/other-1.0.dist-info",
        "venv/lib/python3.12/site-packages/numbers_of_mine/__init__.py",
        "venv/bin/python",
        "venv/etc/ipython/ipython_config.py",
        ".ipython/profile_default/ipython_config.py",
        ".ipython/profile_default/ipython_kernel_config.json",
        ".ipython/profile_default/startup/00-mine.py",
        ".config/matplotlib/matplotlibrc",
    ],
)
def test_a_package_installed_or_changed_and_configuration_make_it_stale(home, path):
    made_of = fingerprint(launch(home), ["numbers_of_mine.deep"])
    (home / path).parent.mkdir(parents=True, exist_ok=True)
    (home / path).write_text("changed")
    assert is_stale(made_of)


def test_a_startup_file_changed_in_place_makes_it_stale(home):
    startup = home / ".ipython" / "profile_default" / "startup" / "00-mine.py"
    startup.write_text("x = 1")
    made_of = fingerprint(launch(home))
    startup.write_text("x = 10")
    assert is_stale(made_of)


def test_what_goes_makes_it_stale(home):
    made_of = fingerprint(launch(home), ["numbers_of_mine"])
    (home / "venv/lib/python3.12/site-packages/numbers_of_mine/__init__.py").unlink()
    assert is_stale(made_of)


def test_the_history_of_ipython_makes_nothing_stale(home):
    made_of = fingerprint(launch(home))
    (home / ".ipython" / "profile_default" / "history.sqlite").write_text("SELECT 1")
    assert not is_stale(made_of)


def test_a_profile_folder_of_the_runs_own_variables_counts(home, tmp_path):
    own = tmp_path / "elsewhere"
    (own / "profile_default").mkdir(parents=True)
    made_of = fingerprint(launch(home, IPYTHONDIR=str(own)))
    (own / "profile_default" / "ipython_config.py").write_text("")
    assert is_stale(made_of)


def test_of_this_interpreter_the_folders_are_those_that_it_has(home):
    mine = fingerprint(Launch((sys.executable,), (), (("HOME", str(home)),)), ["pytest"])
    assert os.path.dirname(os.path.realpath(pytest.__file__)) in mine.paths


def test_a_path_that_cannot_be_is_as_one_that_is_not_there():
    assert not is_stale(Fingerprint.of(["\0", "/no/such/path"]))


def test_looking_takes_less_than_a_third_of_a_millisecond():
    made_of = fingerprint(
        Launch((sys.executable,), (), tuple(os.environ.items())), ["pandas", "numpy", "matplotlib", "PIL"]
    )
    assert not is_stale(made_of)

    def seconds():
        start = time.perf_counter()
        is_stale(made_of)
        return time.perf_counter() - start

    assert min(seconds() for _ in range(50)) < 0.000_3
