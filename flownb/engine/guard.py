"""Sees to it that a kernel does not outlive the process that supervises it, whatever kills that one."""

from __future__ import annotations

import os
import subprocess

#: waits for a word; where the pipe closes without one, the supervisor is dead
_SCRIPT = 'read -r _ || { kill -s KILL -- "-$1"; rm -rf -- "$2"; }'


class Guard:
    """A shell, in a session of its own, that kills a process group when this process is gone.

    It reads from a pipe that only this process writes to. So it needs no polling and no clock, and
    SIGKILL cannot surprise it.
    """

    def __init__(self, group: int, folder: str) -> None:
        """Watch over the process group `group`, and the temporary `folder` that belongs to it."""
        read, self._write = os.pipe()
        try:
            self._shell = subprocess.Popen(  # noqa: S603  # a constant script, the rest are its arguments
                ["/bin/sh", "-c", _SCRIPT, "flownb-guard", str(group), folder],
                stdin=read,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                cwd="/",
                env={"PATH": os.environ.get("PATH", os.defpath)},
            )
        except BaseException:
            os.close(self._write)
            raise
        finally:
            os.close(read)

    def dismiss(self) -> None:
        """Tell the shell that all is well, and wait for it to go."""
        try:
            os.write(self._write, b"\n")
        except BrokenPipeError:
            pass  # somebody killed the shell; there is nothing left to tell it
        finally:
            os.close(self._write)
        self._shell.wait()
