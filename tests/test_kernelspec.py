"""The kernelspec that the wheel installs: its kernels know flownb from the start, and stay the user's own."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.kernel

KERNELS = Path(__file__).parent.parent / "jupyter-config" / "kernels"

#: a user's own IPython configuration, which flownb's kernelspec must leave as it is
CONFIGURATION = """
c = get_config()
c.InteractiveShellApp.extensions = ["autoreload"]
c.InteractiveShellApp.exec_lines = ["mine = 'kept'"]
"""


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    profile = tmp_path / "ipython" / "profile_default"
    profile.mkdir(parents=True)
    (profile / "ipython_kernel_config.py").write_text(CONFIGURATION)
    monkeypatch.setenv("IPYTHONDIR", str(profile.parent))
    # "python" must become the interpreter that asks for the kernel, not whichever is first on PATH
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    specs = KernelSpecManager(kernel_dirs=[str(KERNELS)], ensure_native_kernel=False)
    manager = KernelManager(kernel_name="flownb", kernel_spec_manager=specs)
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def evaluate(client: Any, expression: str) -> Any:
    answer = client.execute(
        "", silent=True, user_expressions={"value": f"__import__('json').dumps({expression})"}
    )
    while (reply := client.get_shell_msg(timeout=60))["parent_header"].get("msg_id") != answer:
        pass
    value = reply["content"]["user_expressions"]["value"]
    assert value["status"] == "ok", value
    return json.loads(value["data"]["text/plain"].strip("'"))


def test_its_kernels_have_the_extension_loaded_beside_the_users_own(kernel: Any) -> None:
    loaded = evaluate(kernel, "sorted(get_ipython().extension_manager.loaded)")
    assert "flownb" in loaded
    assert "IPython.extensions.autoreload" in loaded
    assert evaluate(kernel, "mine") == "kept"
    assert evaluate(kernel, "'flow' in get_ipython().magics_manager.magics['cell']") is True
    assert evaluate(kernel, "__import__('sys').executable") == sys.executable


def test_it_is_named_and_pictured() -> None:
    spec = json.loads((KERNELS / "flownb" / "kernel.json").read_text())
    assert spec["display_name"] == "Python 3 (flownb)"
    assert {path.name for path in (KERNELS / "flownb").glob("logo-*")} == {
        "logo-32x32.png",
        "logo-64x64.png",
        "logo-svg.svg",
    }
