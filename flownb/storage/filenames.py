"""Names of files for names of flows: reversible, and apart on every file system.

Two flows never share a file where a file system takes `A` for `a`, or one form of `é` for another; no
name is a device of Windows, an option, or more than the 255 bytes that a file's name may have.
"""

from __future__ import annotations

import hashlib
import re

from flownb.errors import NameRefusedError
from flownb.flow import check_name

SUFFIX = ".ipynb"

#: bytes of an encoded name beyond which a hash stands for it
_LIMIT = 200
_KEPT = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789_-")
_DEVICE = re.compile(r"con|prn|aux|nul|com[0-9]|lpt[0-9]")
_ENCODED = re.compile(r"(?:[a-z0-9_-]|~[0-9a-f]{2})+")
_HASHED = re.compile(r"~~[0-9a-f]{40}")


def file_name(name: str) -> str:
    """Return the name of the file of a flow: ASCII in lower case, with the suffix `.ipynb`.

    Raises `NameRefusedError` for what is no flow's name.
    """
    return encoded(name) + SUFFIX


def flow_name(file: str) -> str | None:
    """Return the flow of which `file_name` gave this, or None.

    None is given for any other file, and for one whose name is a hash (`is_hashed`): there the document
    in it knows the flow's name.
    """
    return decoded(file.removesuffix(SUFFIX)) if file.endswith(SUFFIX) else None


def is_hashed(file: str) -> bool:
    """Whether `file`, with or without suffix, has a hash for its name, as the flow's own is too long."""
    return _HASHED.fullmatch(file.removesuffix(SUFFIX)) is not None


def encoded(name: str) -> str:
    """Return the name of a file or folder for a flow, without a suffix. Raises `NameRefusedError`.

    `a-z 0-9 _ -` stay; every other byte of the name in UTF-8 becomes `~` and two hexadecimal digits.
    """
    data = check_name(name).encode()
    text = "".join(chr(byte) if byte in _KEPT else f"~{byte:02x}" for byte in data)
    if text.startswith("-") or _DEVICE.fullmatch(text):
        text = f"~{data[0]:02x}{text[1:]}"
    return text if len(text) <= _LIMIT else "~~" + hashlib.sha256(data).hexdigest()[:40]


def decoded(text: str) -> str | None:
    """Return the flow of which `encoded` gave this text; None for a hash, and for any other text."""
    if not _ENCODED.fullmatch(text):
        return None
    data = re.sub(rb"~(..)", lambda found: bytes.fromhex(found[1].decode()), text.encode())
    try:
        name = data.decode()
        # a flow has one file: another spelling of its name, made by hand, is not taken for it
        return name if encoded(name) == text else None
    except (UnicodeDecodeError, NameRefusedError):
        return None
