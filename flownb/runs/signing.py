"""What this user recorded on this machine is known by a signature, as Jupyter knows notebooks by one.

To read some outputs back is to run code. The records that say which file an output is, and what it holds, may
have come with a project's folder, so their own digests prove nothing. A key that lies outside of all projects
does: who has it is this user, or may read and write all that is this user's anyway.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from flownb.errors import RecordError
from flownb.files import alone_in

if TYPE_CHECKING:
    from collections.abc import Sequence

_SIZE = 32  #: bytes of a key


class Key:
    """The user's own key; `Key.read` and `Key.made` give it."""

    def __init__(self, secret: bytes) -> None:
        """Use these bytes, which nobody else has."""
        self._secret = secret

    @classmethod
    def read(cls) -> Key | None:
        """Return the key of this user, None where there is none yet. Raises `RecordError`."""
        path = key_file()
        try:
            secret = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise RecordError(
                f"{path}, your key for signing records, cannot be read: {error.strerror}"
            ) from error
        if len(secret) != _SIZE:
            raise RecordError(
                f"{path}, your key for signing records, is damaged; move it away, and a new one is made"
            )
        return cls(secret)

    @classmethod
    def made(cls) -> Key:
        """Return the key of this user, which is made where there is none yet. Raises `RecordError`."""
        path = key_file()
        if (key := cls.read()) is not None:
            return key
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with alone_in(path.parent):
                key = cls.read()  # again: another process may have been here
                if key is None:
                    key = cls(secrets.token_bytes(_SIZE))
                    _write(path, key._secret)
        except OSError as error:
            raise RecordError(
                f"{path}, your key for signing records, cannot be made: {error.strerror}"
            ) from error
        return key

    def sign(self, what: Sequence[str]) -> str:
        """Return the signature (hex) of some texts, of each by itself and in this order."""
        return hmac.new(self._secret, json.dumps(what).encode("ascii"), hashlib.sha256).hexdigest()

    def signed(self, what: Sequence[str], signature: str) -> bool:
        """Whether the signature is that of these texts by this key."""
        return hmac.compare_digest(self.sign(what).encode(), signature.encode("utf-8", "surrogatepass"))


def key_file() -> Path:
    """Return the file of the key; the variable FLOWNB_DATA_DIR names another folder for it."""
    if folder := os.environ.get("FLOWNB_DATA_DIR"):
        return Path(folder).expanduser() / "records.key"
    import platformdirs

    return platformdirs.user_data_path("flownb") / "records.key"


def _write(path: Path, secret: bytes) -> None:
    """Write a file that nobody else can read at any moment, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secret)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
