"""Where this machine has a Chromium that the browser tests can drive.

Run as a script it prints the path, or exits with 1: the Makefile asks it before it installs one.
"""

from __future__ import annotations

import os
import shutil
import sys

_COMMANDS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_APPLICATIONS = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)


def find_chromium() -> str | None:
    """Return the path that FLOWNB_CHROMIUM gives, else the first Chromium or Chrome found, else `None`."""
    given = os.environ.get("FLOWNB_CHROMIUM")
    candidates = [given] if given else [*_COMMANDS, *_APPLICATIONS]
    return next((path for path in map(shutil.which, candidates) if path), None)


if __name__ == "__main__":
    found = find_chromium()
    if not found:
        sys.exit(1)
    print(found)
