"""What keeping flows in Git costs, beside git itself, dulwich and GitPython where they do the same.

A peer is named only where it does the same work: it reads the same document, or commits the same bytes to
a branch that is not checked out. Listing with the last change of each flow is git's own `log`. The peers
come with the extra `bench`; those that are not installed are left out.
"""

from __future__ import annotations

import importlib.util
import io
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measuring import Row, Times, in_turn, timed
from flownb.document import dumps
from flownb.flow import Carried, Flow, Parameter, Step
from flownb.storage.filenames import file_name
from flownb.storage.git import GitStorage

if TYPE_CHECKING:
    from collections.abc import Callable

FLOWS, VERSIONS = 2_000, 10_000
WRITERS, COMMITS = 8, 50
READ = 1_000

_WRITER = """
import sys
from benchmarks.storing import flow
from flownb.storage.git import GitStorage

storage = GitStorage(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[3])):
    storage.add_flow(flow(f"writer {sys.argv[2]} {number}", number))
"""

_CAPTURES = """
import json, time
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

shell = InteractiveShell.instance()

def run(source):
    start = time.perf_counter()
    with capture_output():
        result = shell.run_cell(source, store_history=True)
    result.raise_error()
    return time.perf_counter() - start

def cell(number):
    body = "n: int = 3\\ntotal = sum(scale(v) for v in VALUES[:n])\\n"
    return f"%%flow co2 --out total\\n{{body}}# {{number}}"

run("%load_ext flownb")
run("import math\\nVALUES = list(range(10))\\ndef scale(v):\\n    return math.sqrt(v)")
kept, alone = [], []
for number in range(-1, {rounds}):
    run("%flow storage git")
    kept.append(run(cell(f"{{number}} kept")))
    run("%flow storage notebook")
    alone.append(run(cell(f"{{number}} alone")))
print(json.dumps([kept[1:], alone[1:]]))
"""


def flow(name: str, number: int) -> Flow:
    """Return a flow of two steps with a carried function, as people write them."""
    return Flow(
        name,
        parameters=(Parameter("n", "int", str(number), "how many"), Parameter("name", "str", "'x'")),
        steps=(
            Step("load", f"rows = [scale(v) for v in range(n + {number})]", ("rows",), reads=("n", "scale")),
            Step("sum", "total = sum(rows)", ("total",), reads=("rows",)),
        ),
        closure=(
            Carried("math", "import", "import math"),
            Carried("scale", "statement", "def scale(v):\n    return math.sqrt(v)", ("scale",), cell=1),
        ),
    )


def rows(rounds: int) -> list[Row]:
    """Measure capturing into Git, committing, listing, looking up, reading, and writers at once."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        many = _large(folder / "many")
        return [
            _captured(folder / "captured", rounds),
            *_committed(folder, rounds),
            *_looked_up(many, rounds),
            _read(many, rounds),
            _raced(folder),
        ]


def _captured(folder: Path, rounds: int) -> Row:
    """Measure a `%%flow` cell that is kept in Git, beside the same cell captured into the notebook alone."""
    code = _CAPTURES.format(rounds=4 * rounds)
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, cwd=_repository(folder), capture_output=True, text=True, check=True)
    kept, alone = json.loads(done.stdout.splitlines()[-1])
    above = tuple(a - b for a, b in zip(kept, alone, strict=True))
    return Row(
        "a capture kept in Git, above capture",
        Times(above),
        "the capture alone",
        Times(tuple(alone)),
        "under 40 ms",
    )


def _repository(folder: Path) -> Path:
    folder.mkdir()
    for words in (("init", "-q"), ("config", "user.name", "A"), ("config", "user.email", "a@example.com")):
        subprocess.run(["git", *words], cwd=folder, check=True)
    return folder


def _large(folder: Path) -> Path:
    """Make a repository of 2,000 flows in 10,000 versions, with the one tool that is quick at that."""
    _repository(folder)
    parts = []
    for number in range(VERSIONS):
        name = f"flow {number % FLOWS}"
        text = dumps(flow(name, number)).encode()
        when = 1_700_000_000 + number
        parts.append(
            f"commit refs/heads/flownb\ncommitter A <a@example.com> {when} +0000\ndata 2\nv\n"
            f"M 100644 inline flows/{file_name(name)}\ndata {len(text)}\n".encode()
            + text
            + b"\n"
        )
    subprocess.run(["git", "fast-import", "--quiet"], cwd=folder, input=b"".join(parts), check=True)
    return folder


def _committed(folder: Path, rounds: int) -> list[Row]:
    """Measure a new version of a flow of which the document is made already."""
    count = iter(range(1_000_000))
    ours = GitStorage(_repository(folder / "one"))
    found = []
    for peer_name, make in _peers_that_commit():
        peer = make(_repository(folder / peer_name.split()[0]))

        def add() -> float:
            made = flow("co2", next(count))
            return timed(lambda: ours.add_flow(made, replace=True))

        def add_peer(commit: Callable[[bytes], object] = peer) -> float:
            text = dumps(flow("co2", next(count))).encode()
            return timed(lambda: commit(text))

        add(), add_peer()
        first, second = in_turn(add, add_peer, 4 * rounds)
        found.append(Row("a new version committed", first, peer_name, second, "under 40 ms"))
    return found


def _peers_that_commit() -> list[tuple[str, Callable[[Path], Callable[[bytes], object]]]]:
    found = [("git add and commit, checked out", _git_commit)]
    if importlib.util.find_spec("git"):
        found.append(("GitPython, an index of its own", _gitpython_commit))
    if importlib.util.find_spec("dulwich"):
        found.append(("dulwich, in process", _dulwich_commit))
    return found


def _git_commit(folder: Path) -> Callable[[bytes], object]:
    (folder / "flows").mkdir()

    def commit(text: bytes) -> None:
        (folder / "flows" / "co2.ipynb").write_bytes(text)
        subprocess.run(["git", "add", "flows/co2.ipynb"], cwd=folder, check=True)
        subprocess.run(["git", "commit", "-q", "-m", "Change co2"], cwd=folder, check=True)

    return commit


def _gitpython_commit(folder: Path) -> Callable[[bytes], object]:
    import git
    from git.index.typ import BaseIndexEntry

    repo = git.Repo(folder)

    def commit(text: bytes) -> None:
        old = repo.refs["flownb"].commit if "flownb" in repo.refs else None
        index = git.IndexFile(repo, str(folder / ".git" / "flows.index"))
        stream = git.db.IStream("blob", len(text), io.BytesIO(text))
        blob = repo.odb.store(stream)
        index.add([BaseIndexEntry((0o100644, blob.binsha, 0, "flows/co2.ipynb"))])
        parents = [old] if old else []
        made = git.Commit.create_from_tree(repo, index.write_tree(), "Change co2", parents)
        git.Reference(repo, "refs/heads/flownb").set_object(made)

    return commit


def _dulwich_commit(folder: Path) -> Callable[[bytes], object]:
    from dulwich.objects import Blob, Commit, Tree
    from dulwich.repo import Repo

    repo = Repo(str(folder))

    def commit(text: bytes) -> None:
        blob, inner, outer, made = Blob.from_string(text), Tree(), Tree(), Commit()
        inner.add(b"co2.ipynb", 0o100644, blob.id)
        outer.add(b"flows", 0o40000, inner.id)
        made.tree, made.message = outer.id, b"Change co2"
        made.author = made.committer = b"A <a@example.com>"
        made.author_time = made.commit_time = int(time.time())
        made.author_timezone = made.commit_timezone = 0
        old = repo.refs.read_ref(b"refs/heads/flownb")
        made.parents = [old] if old else []
        for item in (blob, inner, outer, made):
            repo.object_store.add_object(item)
        assert repo.refs.set_if_equals(b"refs/heads/flownb", old, made.id)

    return commit


def _looked_up(folder: Path, rounds: int) -> list[Row]:
    """Measure a storage that is opened anew each time, as a command does it."""
    first = timed(lambda: GitStorage(folder).flows)
    assert len(GitStorage(folder).flows) == FLOWS
    log, listed = _last_changes(folder, 2), file_name("flow 7")
    show = ("git show BRANCH:PATH", lambda: _show(folder, f"flownb:flows/{listed}"))
    peers = [show]
    if importlib.util.find_spec("dulwich"):
        peers.append(("dulwich, opened anew", lambda: _dulwich_read(folder, listed)))
    found = [
        Row(f"{FLOWS:,} flows listed the first time", Times((first,)), *log),
        Row(
            f"{FLOWS:,} flows of {VERSIONS:,} versions",
            Times(tuple(timed(lambda: GitStorage(folder).flows) for _ in range(4 * rounds))),
            *log,
            "under 60 ms",
        ),
    ]
    for label, act in (
        ("`name in storage` there", lambda: "flow 7" in GitStorage(folder)),
        ("`get_flow(name)` there", lambda: GitStorage(folder).get_flow("flow 7")),
    ):
        for peer_name, peer in peers:
            times = in_turn(lambda act=act: timed(act), lambda peer=peer: timed(peer), 4 * rounds)
            found.append(Row(label, times[0], peer_name, times[1], "under 25 ms"))
    opened = GitStorage(folder)
    opened.get_flow("flow 7")
    act = lambda: opened.get_flow("flow 8")  # noqa: E731
    times = in_turn(lambda: timed(act), lambda: timed(show[1]), 4 * rounds)
    return [*found, Row("`get_flow` of an open storage", times[0], show[0], times[1])]


def _dulwich_read(folder: Path, file: str) -> bytes:
    from dulwich.object_store import tree_lookup_path
    from dulwich.repo import Repo

    with Repo(str(folder)) as repo:
        tree = repo[repo.refs[b"refs/heads/flownb"]].tree
        return repo[tree_lookup_path(repo.__getitem__, tree, f"flows/{file}".encode())[1]].data


def _last_changes(folder: Path, rounds: int) -> tuple[str, Times]:
    """Ask git itself for the last change of every file, as people do."""
    words = ["git", "log", "--format=%H", "--name-only", "flownb", "--", "flows"]
    act = lambda: subprocess.run(words, cwd=folder, capture_output=True, check=True)  # noqa: E731
    return "git log --name-only", Times(tuple(timed(act) for _ in range(rounds)))


def _read(folder: Path, rounds: int) -> Row:
    """Measure the documents of 1,000 flows, read through one process."""
    storage = GitStorage(folder)
    paths = [f"flownb:flows/{file_name(f'flow {number}')}" for number in range(READ)]

    def ours() -> float:
        return timed(lambda: list(storage.objects.read_many(paths)))

    def peer() -> float:
        return 10 * timed(lambda: [_show(folder, path) for path in paths[: READ // 10]])

    first, second = in_turn(ours, peer, rounds)
    return Row(f"{READ:,} documents read", first, "a git show each (of 100, times 10)", second)


def _show(folder: Path, path: str) -> bytes:
    return subprocess.run(["git", "show", path], cwd=folder, capture_output=True, check=True).stdout


def _raced(folder: Path) -> Row:
    """Measure a commit where 8 processes write 50 each; none may be lost."""
    one = _race(_repository(folder / "alone"), 1, COMMITS)
    all_at_once = _race(_repository(folder / "raced"), WRITERS, COMMITS)
    label = f"a commit, {WRITERS} writers x {COMMITS}, none lost"
    return Row(label, Times((all_at_once,)), "a commit of one writer alone", Times((one,)))


def _race(folder: Path, writers: int, commits: int) -> float:
    words = [sys.executable, "-c", _WRITER, str(folder)]
    running = [
        subprocess.Popen([*words, str(number), str(commits)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for number in range(writers)
    ]
    for process in running:
        assert process.stdout is not None
        process.stdout.readline()

    def start() -> None:
        for process in running:
            assert process.stdin is not None
            process.stdin.write(b"go\n")
            process.stdin.flush()
        assert [process.wait() for process in running] == [0] * writers

    seconds = timed(start)
    assert len(GitStorage(folder).flows) == writers * commits
    return seconds / (writers * commits)
