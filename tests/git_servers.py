"""Real servers of Git on loopback: `git daemon`, `git http-backend` with passwords, and ssh's part."""

from __future__ import annotations

import base64
import http.server
import os
import shlex
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from polling import poll

if TYPE_CHECKING:
    from collections.abc import Iterator


def git(folder: Path, *words: str, check: bool = True, **variables: str) -> str:
    """Call `git` as a person would, and return what it says."""
    done = subprocess.run(
        ["git", "-c", "commit.gpgsign=false", *words],
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not check or done.returncode == 0, f"git {' '.join(words)}: {done.stderr}"
    return done.stdout.strip()


def bare(folder: Path) -> Path:
    """Make an empty bare repository, to be somebody's remote."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--bare", "--initial-branch=main")
    return folder


def cloned(url: str | Path, folder: Path, who: str = "Ann") -> Path:
    """Clone a repository as somebody with a name, who works in it."""
    git(folder.parent, "clone", "--quiet", str(url), str(folder))
    return known_as(folder, who)


def known_as(folder: Path, who: str) -> Path:
    """Configure an identity in a repository."""
    git(folder, "config", "user.name", who)
    git(folder, "config", "user.email", f"{who.lower()}@example.org")
    return folder


def hook(repository: Path, name: str, script: str) -> None:
    """Give a bare repository a hook that runs on its side."""
    path = repository / "hooks" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@contextmanager
def daemon(root: Path) -> Iterator[str]:
    """Serve the repositories below `root` with `git daemon`, pushes too; gives the URL of the root."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = Path(git(root, "--exec-path")) / "git-daemon"
    words = ["--reuseaddr", "--export-all", "--enable=receive-pack", "--informative-errors"]
    process = subprocess.Popen(
        [program, *words, "--listen=127.0.0.1", f"--port={port}", f"--base-path={root}", str(root)],
        stderr=subprocess.DEVNULL,
    )
    try:
        poll(lambda: _answers(port), what="git daemon")
        yield f"git://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


class HttpRemote:
    """`git http-backend` behind an HTTP server of Python's; `password` is asked for where it is set."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.user = "ann"
        self.password = ""
        self.refused = 0  #: an HTTP status with which every request is answered
        self.seen: list[str] = []  #: requests, as method and path
        remote = self

        class Handler(_Backend):
            served = remote

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def with_credentials(self, path: str) -> str:
        """Return the URL of a repository with user and password in it, as people paste it."""
        return f"http://{self.user}:{self.password}@127.0.0.1:{self.server.server_port}/{path}"


class _Backend(http.server.BaseHTTPRequestHandler):
    """A CGI host for the one program `git http-backend`."""

    protocol_version = "HTTP/1.1"
    served: HttpRemote

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        self._serve(self._body())

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _serve(self, body: bytes) -> None:
        remote = self.served
        remote.seen.append(f"{self.command} {self.path}")
        if remote.refused:
            self._answer(remote.refused, [("Content-Type", "text/plain")], b"refused by the server\n")
            return
        wanted = base64.b64encode(f"{remote.user}:{remote.password}".encode()).decode()
        if remote.password and self.headers.get("Authorization") != f"Basic {wanted}":
            self._answer(401, [("WWW-Authenticate", 'Basic realm="flows"')], b"")
            return
        path, _, query = self.path.partition("?")
        variables = {
            **os.environ,
            "GIT_PROJECT_ROOT": str(remote.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REMOTE_USER": remote.user,
            "REMOTE_ADDR": "127.0.0.1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(
            ["git", "http-backend"], input=body, env=variables, capture_output=True, check=False
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = [tuple(line.split(": ", 1)) for line in head.decode().splitlines() if ": " in line]
        status = next((int(value.split()[0]) for name, value in fields if name == "Status"), 200)
        self._answer(status, [(name, value) for name, value in fields if name != "Status"], content)

    def _answer(self, status: int, fields: list[tuple[str, str]], content: bytes) -> None:
        self.send_response(status)
        for name, value in fields:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        """Keep the tests' output free of requests."""


@contextmanager
def over_http(root: Path) -> Iterator[HttpRemote]:
    """Serve the repositories below `root` over smart HTTP."""
    remote = HttpRemote(root)
    thread = threading.Thread(target=remote.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield remote
    finally:
        remote.server.shutdown()
        thread.join()
        remote.server.server_close()


def ssh_stand_in(folder: Path, refusal: str = "") -> str:
    """Make what `GIT_SSH_COMMAND` may name: it runs the asked command here, or refuses as ssh does.

    What ssh itself does (keys, hosts) is not git's part; the words with which it refuses are.
    """
    script = folder / "ssh"
    script.write_text(
        f"#!{sys.executable}\nimport subprocess, sys\n"
        f"refusal = {refusal!r}\n"
        f"with open({str(folder / 'ssh.log')!r}, 'a') as log: print(sys.argv[1:], file=log)\n"
        "if refusal: sys.exit(print(refusal, file=sys.stderr) or 255)\n"
        "sys.exit(subprocess.call(['sh', '-c', sys.argv[-1]]))\n"
    )
    script.chmod(0o755)
    return shlex.quote(str(script))
