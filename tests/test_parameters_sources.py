"""Values that an assignment names instead of holding them: `-p token=@env:MAIL_TOKEN`."""

from __future__ import annotations

import getpass
import json
import os
import pty
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import nbformat
import pytest
from click.testing import CliRunner, Result
from parameter_flows import flow_of
from shell import ipython

from flownb.cli import main
from flownb.errors import ParameterError
from flownb.parameters import Assignments, typed
from flownb.runs import Run
from flownb.runs.project import Project

VALUE = "Xq9-sEcReT+v/üü"
FLOW = flow_of("token: Secret\nname: str = ''\nn: int = 1")
ROOT = Path(__file__).parent.parent
CODE = "from flownb.cli import main; main()"
SECRET_CELLS = (
    "import flownb",
    "%%flow f --out size\ntoken: flownb.Secret\nn: int = 1\nsize = len(token) * n\nprint(token)",
)


def call(*words: object, given: str = "") -> Result:
    return CliRunner().invoke(main, [str(word) for word in words], input=given)


def values(*texts: str) -> dict[str, Any]:
    return Assignments(FLOW, texts).values()


@pytest.fixture
def book(project: Path) -> Path:
    content = nbformat.v4.new_notebook()
    content.cells = [nbformat.v4.new_code_cell(cell) for cell in SECRET_CELLS]
    nbformat.write(content, project / "f.ipynb")
    return project / "f.ipynb"


@pytest.fixture
def variable(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("MAIL_TOKEN", VALUE)
    return "MAIL_TOKEN"


# -- where a value is


@pytest.mark.parametrize("name", ["token", "name"])
def test_a_value_comes_from_an_environment_variable(name: str, variable: str) -> None:
    assert values(f"{name}=@env:{variable}") == {name: VALUE}


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"abc", "abc"),
        (b"abc\n", "abc"),
        (b"abc\r\n", "abc"),
        (b"abc\n\n", "abc\n"),
        (b" a\nb \n", " a\nb "),
        (b"@env:HOME\n", "@env:HOME"),
        ("\ufeffü".encode(), "ü"),
        (b"", ""),
    ],
)
def test_a_value_comes_from_a_file_without_the_end_of_its_last_line(
    tmp_path: Path, content: bytes, value: str
) -> None:
    (tmp_path / "to ken=1").write_bytes(content)
    assert values(f"token=@file:{tmp_path}/to ken=1") == {"token": value}


def test_the_home_folder_may_be_written_short(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "token").write_text(VALUE)
    assert values("token=@file:~/token") == {"token": VALUE}


def test_what_comes_from_elsewhere_is_read_as_its_type_is_written(variable: str) -> None:
    from flownb.parameters import validate

    os.environ["COUNT"] = "12"
    try:
        assert validate(FLOW, values(f"token=@env:{variable}", "n=@env:COUNT"))["n"] == 12
    finally:
        del os.environ["COUNT"]


@pytest.mark.parametrize("text", ["@", "@me", "@env:HOME", "@-", "@prompt", "@@"])
def test_a_value_that_begins_with_the_mark_is_written_with_two(text: str) -> None:
    assert values(f"name=@{text}") == {"name": text}
    assert typed(text) == f"@{text}"  # as lists of runs show it, and completion offers it


@pytest.mark.parametrize("text", ["a@b", " @env:HOME", "", "{a}", "me@env:HOME"])
def test_any_other_value_stands_for_itself(text: str) -> None:
    assert values(f"name={text}") == {"name": text}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("@hunter2", "write @@"),
        ("@evn:HOME", "@env:NAME"),
        ("@env:", "@env:NAME"),
        ("@env", "@env:NAME"),
        ("@file:", "@file:PATH"),
        ("@-:x", "standard input"),
        ("@prompt:x", "@prompt"),
        ("@env:NOT_SET_ANYWHERE", "NOT_SET_ANYWHERE, which is not set"),
        ("@file:nowhere", "there is no file nowhere"),
        ("@file:/", "cannot be read"),
    ],
)
def test_what_names_nothing_is_an_error_that_tells_no_value(text: str, told: str) -> None:
    with pytest.raises(ParameterError) as caught:
        values(f"token={text}")
    assert "`token`" in str(caught.value)
    assert told in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_file_that_is_no_text_is_named_and_not_shown(tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(b"\xff\xfehunter2")
    with pytest.raises(ParameterError, match="is not text in UTF-8") as caught:
        values(f"token=@file:{tmp_path / 't'}")
    assert "hunter2" not in str(caught.value)


# -- asking


def test_a_secret_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getpass", lambda prompt: VALUE if prompt == "token: " else "")
    assert values("token=@prompt") == {"token": VALUE}


def test_nobody_is_asked_for_what_would_be_recorded() -> None:
    with pytest.raises(ParameterError, match=r"`name: flownb\.Secret`"):
        values("name=@prompt")


def test_nobody_is_asked_for_a_parameter_that_there_is_not(
    book: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(getpass, "getpass", lambda prompt: pytest.fail(f"asked: {prompt}"))
    result = call("run", book, "-p", "tokn=@prompt")
    assert result.exit_code == 2
    assert "did you mean `token`" in result.output


@pytest.mark.parametrize("error", [EOFError(), NotImplementedError(), OSError(), None])
def test_where_nobody_can_be_asked_that_is_said(
    error: Exception | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(prompt: str) -> str:
        if error is not None:
            raise error
        warnings.warn("it would be seen", getpass.GetPassWarning, stacklevel=2)
        return prompt

    monkeypatch.setattr(getpass, "getpass", ask)
    with pytest.raises(ParameterError, match="`token`: nobody can be asked here"):
        values("token=@prompt")


def test_what_is_typed_in_a_terminal_is_not_seen(book: Path) -> None:
    main_end, terminal = pty.openpty()
    code = "import os, sys; os.setsid(); os.close(os.open(sys.argv.pop(1), os.O_RDWR)); " + CODE
    words = [
        sys.executable,
        "-c",
        code,
        os.ttyname(terminal),
        "run",
        book.name,
        "-p",
        "token=@prompt",
        "-p",
        "n=x",
    ]
    with subprocess.Popen(
        words,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        cwd=book.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        os.close(terminal)
        seen = b""
        while b"token: " not in seen:
            seen += os.read(main_end, 1000)
        os.write(main_end, b"hunter2\n")
        try:
            while more := os.read(main_end, 1000):
                seen += more
        except OSError:  # the terminal's other end is closed
            pass
        assert process.wait(60) == 2
    os.close(main_end)
    assert b"`n` takes a whole number" in seen
    assert b"hunter2" not in seen


# -- the command line


def shell(script: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which `flownb` is the real command."""
    line = f"flownb() {{ {sys.executable} -c '{CODE}' \"$@\"; }}\n{script}"
    return subprocess.run(
        ["bash", "-c", line],
        capture_output=True,
        check=False,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        encoding="utf-8",
        cwd=cwd,
    )


@pytest.mark.kernel
@pytest.mark.parametrize(
    "script",
    [
        "flownb run f.ipynb -q -p token=@env:MAIL_TOKEN",
        "flownb run f.ipynb -q -p token=@file:token.txt",
        'echo "$MAIL_TOKEN" | flownb run f.ipynb -q -p token=@-',
        'flownb run f.ipynb -q -p token=@file:<(echo "$MAIL_TOKEN")',
        'echo "{\\"token\\": \\"$MAIL_TOKEN\\"}" | flownb run f.ipynb -q -f -',
        'flownb run f.ipynb -q -f <(echo "token: $MAIL_TOKEN")',
        'flownb run f.ipynb -q -f <(echo "token: wrong") -p token=@env:MAIL_TOKEN',
    ],
)
def test_a_secret_gets_into_a_run_and_nowhere_else(script: str, book: Path) -> None:
    (book.parent / "token.txt").write_text(VALUE + "\n")
    done = shell(script, book.parent, MAIL_TOKEN=VALUE)
    assert (done.returncode, done.stderr) == (0, "")
    run = Run.load(done.stdout.strip(), book.parent)
    assert run.outputs["size"] == len(VALUE)
    assert run.parameters == {"token": "***"}
    assert [
        path for path in run.folder.rglob("*") if path.is_file() and VALUE.encode() in path.read_bytes()
    ] == []
    assert VALUE.encode() not in Project.of(book.parent).database.read_bytes()


@pytest.mark.parametrize(
    "words",
    [["-p", "token=@-", "-p", "n=@-"], ["-f", "-", "-p", "token=@-"], ["-p", "token=@-", "-p", "token=@-"]],
)
def test_standard_input_is_for_one_of_them(words: list[str], book: Path) -> None:
    result = call("run", book, *words, given="1")
    assert result.exit_code == 2
    assert "standard input is read once" in result.output
    assert call("runs").stdout == ""


def test_standard_input_that_is_closed_is_told(book: Path) -> None:
    done = shell("flownb run f.ipynb -p token=@- <&-", book.parent)
    assert done.returncode == 2
    assert "standard input is closed" in done.stderr


def test_a_secret_that_everybody_can_read_is_warned_of(book: Path) -> None:
    result = call("run", book, "-p", f"token={VALUE}", "-p", "n=x")
    assert "can read the value of `token`" in result.stderr
    assert "@env:VARIABLE" in result.stderr
    assert VALUE not in result.output


def test_nothing_is_said_of_other_values(book: Path, variable: str) -> None:
    result = call("run", book, "-p", f"token=@env:{variable}", "-p", "n=x")
    assert "can read" not in result.stderr


@pytest.mark.kernel
def test_checking_takes_the_same_words(book: Path, variable: str) -> None:
    result = call("check", book, "-p", f"token=@env:{variable}", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["good"]


# -- in a notebook


@pytest.mark.kernel
def test_a_notebook_takes_them_too(project: Path, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "token.txt").write_text(VALUE)
    monkeypatch.setattr(getpass, "getpass", lambda _: VALUE)
    with ipython() as shell:
        for cell in (SECRET_CELLS[0], SECRET_CELLS[1].replace("%%flow f", "%%flow f --define")):
            shell.ok(cell)
        for where in (f"env:{variable}", "file:token.txt", "prompt"):
            shown = shell.ok(f"%flow run f token=@{where}")
            assert shown.result.outputs["size"] == len(VALUE)
            assert "saved with this cell" not in shown.text
        shell.ok("T = 'abc'")
        assert "saved with this cell" not in shell.ok("%flow run f token={T}").text
        assert "`token` is saved with this cell" in shell.ok("%flow run f token=abcdefgh").text
        assert "a notebook has no standard input" in shell.run("%flow run f token=@-").text


def test_a_value_from_elsewhere_is_no_expression_of_the_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAME", "{T}")
    given = Assignments(FLOW, ["name=@env:NAME", "n={1}"], lambda text: f"evaluated {text}")
    assert given.values() == {"name": "{T}", "n": "evaluated {1}"}
