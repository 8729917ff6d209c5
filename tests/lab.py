"""A real JupyterLab in a real Chromium, for tests: start it, open a notebook, do what people do.

`LabServer` is the server, in folders of its own; `LabNotebook` is one notebook open in one page. Lab is
driven through its own commands (`window.jupyterapp`), and what is asserted is what the page shows and
what the saved file holds.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.error import URLError
from urllib.parse import quote, urlencode
from urllib.request import urlopen

from polling import poll

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from playwright.sync_api import Page

#: what Lab would ask or show on its own, and how it shows cells: all of them, not only those in sight
_SETTINGS: dict[str, dict[str, Any]] = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "notebook-extension/tracker": {"windowingMode": "none"},
    "docmanager-extension/plugin": {"autosave": False},
}

_CHROMIUM_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

#: one answer for all waits: is it there, with a kernel that has nothing to do
_READY = """() => {
    const panel = window.jupyterapp?.shell?.currentWidget;
    const kernel = panel?.sessionContext?.session?.kernel;
    return Boolean(panel?.context?.isReady && kernel && kernel.status === "idle"
        && kernel.connectionStatus === "connected");
}"""

_START_COMMAND = """([command]) => {
    window.flownbCommand = {done: false, error: null};
    window.jupyterapp.commands.execute(command).then(
        () => { window.flownbCommand = {done: true, error: null}; },
        (error) => { window.flownbCommand = {done: true, error: String(error)}; });
}"""

#: from the top of the first cell to the bottom of the last, in pixels
_HEIGHT = """() => {
    const cells = [...document.querySelectorAll(".jp-Notebook .jp-Cell")];
    const [top, bottom] = [cells[0].getBoundingClientRect().top, cells.at(-1).getBoundingClientRect().bottom];
    return Math.ceil(bottom - top);
}"""

_TOP_IN_SIGHT = """() => {
    const panels = document.querySelectorAll(".jp-WindowedPanel-outer, .jp-Notebook");
    for (const panel of panels) panel.scrollTop = 0;
    const first = document.querySelector(".jp-Notebook .jp-Cell").getBoundingClientRect();
    return first.top >= document.querySelector(".jp-NotebookPanel").getBoundingClientRect().top;
}"""


class LabServer:
    """A JupyterLab server on `root`, up while the `with` block runs.

    Its configuration, settings and runtime files are in `state`, which is made; kernelspecs are those of
    the interpreter that runs the tests.
    """

    def __init__(self, root: Path, state: Path, port: int) -> None:
        self.root = root
        self.state = state
        self.port = port
        self.token = secrets.token_hex(16)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """The file with all that the server has said."""
        return self.state / "server.log"

    def url(self, path: str, **query: str) -> str:
        """Return the address of `path` on the server, with its token."""
        return f"http://127.0.0.1:{self.port}/{quote(path)}?{urlencode({'token': self.token, **query})}"

    def __enter__(self) -> Self:
        self._write_settings()
        environment = os.environ | {
            "JUPYTER_CONFIG_DIR": str(self.state / "config"),
            "JUPYTER_DATA_DIR": str(self.state / "data"),
            "JUPYTER_RUNTIME_DIR": str(self.state / "runtime"),
        }
        command = [
            *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
            f"--ServerApp.port={self.port}",
            "--ServerApp.port_retries=0",
            "--ServerApp.ip=127.0.0.1",
            f"--ServerApp.root_dir={self.root}",
            f"--IdentityProvider.token={self.token}",
            "--LabApp.expose_app_in_browser=True",
            "--LabApp.extension_manager=readonly",
        ]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=self.root, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        try:
            poll(self._answers, limit=90, what="JupyterLab to answer", interval=0.1)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        process = self._process
        if process is None:
            return
        # the server stops its kernels on the first signal; the group gets the last word
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=15)

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError(f"JupyterLab ended with {self._process.returncode}:\n{self.log.read_text()}")
        try:
            with urlopen(self.url("api/status"), timeout=5) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False

    def _write_settings(self) -> None:
        for name in ("config", "data", "runtime"):
            (self.state / name).mkdir(parents=True, exist_ok=True)
        user_settings = self.state / "config" / "lab" / "user-settings" / "@jupyterlab"
        for plugin, settings in _SETTINGS.items():
            file = user_settings / f"{plugin}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(settings))


@contextmanager
def chromium_page(executable: str, *, width: int = 1280, height: int = 1000) -> Iterator[Page]:
    """Start the browser, give a page, and end it afterwards."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(_CHROMIUM_ARGUMENTS))
        try:
            page = browser.new_page(viewport={"width": width, "height": height})
            page.set_default_timeout(120_000)
            yield page
        finally:
            browser.close()


class LabNotebook:
    """One notebook of `server`, open in `page` with its kernel idle."""

    def __init__(self, server: LabServer, page: Page, path: str) -> None:
        self.server = server
        self.page = page
        self.path = path
        page.goto(server.url(f"lab/tree/{path}", reset=""))
        self.wait_idle()

    @property
    def file(self) -> Path:
        """The notebook's file on disk."""
        return self.server.root / self.path

    def read(self) -> dict[str, Any]:
        """Return what the saved file holds."""
        notebook: dict[str, Any] = json.loads(self.file.read_text("utf-8"))
        return notebook

    def wait_idle(self, limit: float = 120) -> None:
        """Wait until the notebook is there and its kernel has nothing to do."""
        self.page.wait_for_function(_READY, timeout=limit * 1000, polling=50)

    def command(self, name: str, limit: float = 120) -> None:
        """Run one of Lab's commands, and wait until Lab says that it is done."""
        self.page.evaluate(_START_COMMAND, [name])
        self.page.wait_for_function("() => window.flownbCommand.done", timeout=limit * 1000, polling=50)
        error = self.page.evaluate("() => window.flownbCommand.error")
        assert error is None, f"{name}: {error}"

    def run_all(self, limit: float = 120) -> None:
        """Run all cells, as the menu does, and wait until the kernel has nothing left to do."""
        self.command("notebook:run-all-cells", limit)
        self.wait_idle(limit)

    def clear_outputs(self) -> None:
        """Clear the outputs of all cells, as the menu does."""
        self.command("notebook:clear-all-cell-outputs")

    def save(self) -> dict[str, Any]:
        """Save, and return what the file holds then; Lab must have nothing to ask about it."""
        self.command("docmanager:save")
        # "File Changed": something else has written the file that is open here
        dialogs = self.page.locator(".jp-Dialog").all_inner_texts()
        assert dialogs == [], dialogs
        self.page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")
        return self.read()

    def evaluate(self, expression: str) -> str:
        """Return the `text/plain` of an expression's value in the kernel; the notebook stays as it is."""
        answer = self.page.evaluate(
            """async ([expression]) => {
                const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
                const future = kernel.requestExecute({
                    code: "", silent: true, store_history: false, user_expressions: {answer: expression},
                });
                return (await future.done).content.user_expressions.answer;
            }""",
            [expression],
        )
        assert answer["status"] == "ok", "\n".join(answer["traceback"])
        return str(answer["data"]["text/plain"])

    def output_texts(self) -> list[str]:
        """Return, for each cell, the text that the page shows below it ("" where there is nothing)."""
        texts: list[str] = self.page.evaluate(
            """() => [...document.querySelectorAll(".jp-Notebook .jp-Cell")].map((cell) => {
                const area = cell.querySelector(".jp-OutputArea");
                return area ? area.innerText.trim() : "";
            })"""
        )
        return texts

    def screenshot(self, name: str) -> Path | None:
        """Write NAME.png, the whole notebook, to the folder FLOWNB_SCREENSHOTS, where that is set."""
        folder = os.environ.get("FLOWNB_SCREENSHOTS")
        if not folder:
            return None
        viewport = self.page.viewport_size
        assert viewport is not None
        file = Path(folder) / f"{re.sub(r'[^a-z0-9-]+', '-', name.lower())}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        self.page.set_viewport_size({"width": viewport["width"], "height": self._height() + 200})
        self.page.evaluate("() => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = 0; }")
        self.page.wait_for_function(_TOP_IN_SIGHT)
        self.page.locator(".jp-NotebookPanel").screenshot(path=file)
        self.page.set_viewport_size(viewport)
        return file

    def _height(self) -> int:
        height: int = self.page.evaluate(_HEIGHT)
        return height


def plain_notebook(*sources: str, kernel: str = "python3") -> dict[str, Any]:
    """Return a notebook with one code cell for each of `sources`."""
    return {
        "cells": [_code_cell(number, source) for number, source in enumerate(sources)],
        "metadata": {
            "kernelspec": {"name": kernel, "display_name": kernel, "language": "python"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def outputs_of(
    notebook: dict[str, Any], kinds: Sequence[str] = ("execute_result", "display_data")
) -> list[dict[str, Any]]:
    """Return the MIME bundles of all outputs of those kinds, in the order of the cells."""
    return [
        output["data"]
        for cell in notebook["cells"]
        for output in cell.get("outputs", [])
        if output["output_type"] in kinds
    ]


def _code_cell(number: int, source: str) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "id": f"cell-{number}",
        "metadata": {},
        "execution_count": None,
        "outputs": [],
        "source": source,
    }
