"""The command that starts a template in any interpreter."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

PACKAGE = "_flownb_inside"
"""The name that this package has in the template and in the flow's process."""

_SCRIPT = """
import importlib.util, pathlib, sys
if sys.version_info < (3, 10):
    sys.exit(f"it needs Python 3.10 or newer, and this is {sys.version.split()[0]}")
name, folder, descriptor = sys.argv[1:4]
spec = importlib.util.spec_from_file_location(
    name, pathlib.Path(folder, "__init__.py"), submodule_search_locations=[folder])
sys.modules[name] = package = importlib.util.module_from_spec(spec)
spec.loader.exec_module(package)
importlib.import_module(name + ".template").main(int(descriptor))
"""


def command(python: Sequence[str], descriptor: int) -> list[str]:
    """Return the command line of a template.

    Args:
        python: the interpreter, with its own options.
        descriptor: of the template's control socket, which it inherits.

    """
    return [*python, "-c", _SCRIPT, PACKAGE, str(Path(__file__).parent), str(descriptor)]
