"""A notebook that was renamed is found by asking the real server of its kernel."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jupyter_client.blocking import BlockingKernelClient
from jupyter_core.paths import jupyter_runtime_dir
from polling import poll

from flownb.ui.sessions import this_notebook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def ask(project: Path, free_port: int) -> Iterator[Callable[..., Any]]:
    """Start a server in the project; what is given asks its API."""
    words = [
        "--no-browser",
        f"--port={free_port}",
        "--ServerApp.port_retries=0",
        "--IdentityProvider.token=secret",
    ]
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyter_server", "--allow-root", *words, f"--ServerApp.root_dir={project}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=project,
    )

    def asked(method: str, path: str, data: Any = None) -> Any:
        body = None if data is None else json.dumps(data).encode()
        head = {"Authorization": "token secret", "Content-Type": "application/json"}
        request = urllib.request.Request(
            f"http://127.0.0.1:{free_port}/api/{path}", body, head, method=method
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def ready() -> bool:
        try:
            return bool(asked("GET", "status"))
        except OSError:
            return False

    try:
        poll(ready, 60)
        yield asked
    finally:
        server.terminate()
        server.wait(30)


@pytest.mark.kernel
def test_a_renamed_notebook_is_found_by_its_kernel(ask: Callable[..., Any], project: Path) -> None:
    notebook = {
        "type": "notebook",
        "content": {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5},
    }
    ask("PUT", "contents/old.ipynb", notebook)
    kernel = {"path": "old.ipynb", "name": "old.ipynb", "type": "notebook", "kernel": {"name": "python3"}}
    session = ask("POST", "sessions", kernel)
    client = BlockingKernelClient()
    client.load_connection_file(str(Path(jupyter_runtime_dir(), f"kernel-{session['kernel']['id']}.json")))
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)

        def path() -> str:
            said: list[str] = []
            code = "%load_ext flownb\nprint(get_ipython().flownb.notebook.path)"
            client.execute_interactive(
                code,
                timeout=60,
                output_hook=lambda message: said.append(message["content"].get("text", "")),
            )
            return "".join(said).splitlines()[-1]

        assert path() == str(project / "old.ipynb")
        (project / "more").mkdir()
        ask("PATCH", "contents/old.ipynb", {"path": "more/new.ipynb"})
        ask("PATCH", f"sessions/{session['id']}", {"path": "more/new.ipynb", "name": "new.ipynb"})
        assert path() == str(project / "more" / "new.ipynb")
        ask("PATCH", "contents/more/new.ipynb", {"path": "newer.ipynb"})
        ask("PATCH", f"sessions/{session['id']}", {"path": "newer.ipynb", "name": "newer.ipynb"})
        poll(lambda: path() == str(project / "newer.ipynb"), 20)
    finally:
        client.stop_channels()


def test_where_there_is_no_kernel_there_is_no_notebook() -> None:
    assert this_notebook() is None
