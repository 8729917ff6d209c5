"""Git repositories in trouble, and hostile ones: clear errors, nothing lost, nothing run."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from git_repositories import assert_whole, bare, flow, git, state, work_tree
from polling import lives, poll

from flownb.errors import FlownbError, StorageError
from flownb.storage.git import GitStorage
from flownb.storage.git.command import Git, check_url, printable


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    folder = work_tree(tmp_path / "repo")
    GitStorage(folder).add_flow(flow("co2"))
    return folder


def assert_as_before(repo: Path) -> None:
    """Assert that the repository is whole and holds what the fixture put there, and no more."""
    assert_whole(repo)
    storage = GitStorage(repo)
    assert set(storage.flows) == {"co2"}
    assert storage.get_flow("co2") == flow("co2")


# --- something is missing or wrong


def test_without_the_git_command_the_error_says_what_to_install(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(repo))
    with pytest.raises(StorageError, match="git is not installed, or not on the PATH"):
        _ = GitStorage(repo).flows


def test_a_folder_outside_any_repository_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="is not in a Git repository; `git init`"):
        _ = GitStorage(tmp_path).flows
    with pytest.raises(StorageError, match="there is no folder"):
        _ = GitStorage(tmp_path / "nowhere" / "x").flows


def test_without_an_identity_nothing_is_committed_and_the_two_commands_are_told(repo: Path) -> None:
    for key in ("user.name", "user.email"):
        git(repo, "config", "--unset", key)
    with pytest.raises(
        StorageError, match=r"git config --global user\.name .*git config --global user\.email"
    ):
        GitStorage(repo).add_flow(flow("new"))
    assert_as_before(repo)


@pytest.mark.parametrize(
    "options",
    [
        {"branch": "-x"},
        {"branch": "a..b"},
        {"branch": ""},
        {"branch": "HEAD"},
        {"branch": "a b"},
        {"folder": "../out"},
        {"folder": ".git"},
        {"folder": "a/.git/hooks"},
        {"folder": ""},
        {"folder": "-x"},
        {"folder": "a\\b"},
        {"verify": "maybe"},
    ],
)
def test_names_that_are_more_than_names_are_refused(options: dict[str, str], repo: Path) -> None:
    with pytest.raises(StorageError):
        GitStorage(repo, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c 'touch pwned'",
        "--upload-pack=touch",
        "ssh://-oProxyCommand=touch/x",
        "git@-oX:y",
        "foo://x",
        "a\nb",
    ],
)
def test_urls_that_run_something_are_refused(url: str) -> None:
    with pytest.raises(StorageError):
        check_url(url)


def test_what_git_says_cannot_steer_a_terminal() -> None:
    assert printable(b"\x1b[31mred\x07\r\nline\xff\xe2\x80\xae") == "\\x1b[31mred\\x07\nline\\xff\\u202e"


def test_a_lock_that_a_killed_git_left_is_named(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flownb.storage.git.command.SETTINGS", ("core.filesRefLockTimeout=50",))
    lock = repo / ".git" / "refs" / "heads" / "flownb.lock"
    lock.touch()
    with pytest.raises(StorageError, match=rf"is locked by {lock}.*remove that file"):
        GitStorage(repo).add_flow(flow("new"))
    assert GitStorage(repo).get_flow("co2") == flow("co2")
    lock.unlink()
    assert_as_before(repo)
    GitStorage(repo).add_flow(flow("new"))


@pytest.mark.parametrize("damage", [b"", b"garbage", None])
def test_a_damaged_object_is_told_and_hides_no_other_flow(damage: bytes | None, repo: Path) -> None:
    storage = GitStorage(repo)
    storage.add_flow(flow("good"))
    blob = git(repo, "rev-parse", "flownb:flows/co2.ipynb")
    file = repo / ".git" / "objects" / blob[:2] / blob[2:]
    file.chmod(0o644)
    if damage is None:
        file.unlink()
    else:
        file.write_bytes(damage)
    fresh = GitStorage(repo)
    assert set(fresh.flows) == {"co2", "good"}
    with pytest.raises(StorageError, match=r"damaged|missing"):
        fresh.get_flow("co2")
    assert fresh.get_flow("good") == flow("good")
    with pytest.raises(StorageError, match="co2"):
        fresh.build()
    fresh.add_flow(flow("another"))
    fresh.add_flow(flow("co2", 2), replace=True)
    assert fresh.get_flow("co2") == flow("co2", 2)


@pytest.mark.kernel
def test_a_full_disk_leaves_the_branch_as_it_was(small_disk: Path) -> None:
    folder = bare(small_disk / "repo.git")
    storage = GitStorage(folder)
    storage.add_flow(flow("co2"))
    with pytest.raises(FlownbError, match="No space left on device"):
        storage.add_flow(flow("big", os.urandom(1_500_000).hex()))
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 4096):
            pass
    with pytest.raises(FlownbError):
        storage.add_flow(flow("small"))
    assert GitStorage(folder).get_flow("co2") == flow("co2")
    filler.unlink()
    assert_as_before(folder)
    storage.add_flow(flow("small"))


@pytest.mark.kernel
def test_a_limit_on_the_size_of_files_leaves_the_branch_as_it_was(repo: Path) -> None:
    code = (
        "import os, resource, signal, sys\nfrom flownb.errors import StorageError\n"
        "from flownb.storage.git import GitStorage\nfrom git_repositories import flow\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try:\n    GitStorage(sys.argv[1]).add_flow(flow('big', os.urandom(20_000).hex()))\n"
        "except StorageError as error:\n    print(error)\n"
    )
    assert resource.getrlimit(resource.RLIMIT_FSIZE)
    done = subprocess.run(
        [sys.executable, "-c", code, str(repo)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
    )
    assert (done.returncode, bool(done.stdout)) == (0, True), done.stderr
    assert_as_before(repo)


def test_a_repository_that_may_only_be_read_is_read(repo: Path) -> None:
    # the folder of the kept index cannot be made: it is in the way of a file
    expected = GitStorage(repo).flows
    own = repo / ".git" / "flownb"
    for file in own.iterdir():
        file.unlink()
    own.rmdir()
    own.touch()
    assert GitStorage(repo).flows == expected
    with pytest.raises(StorageError, match="flownb"):
        GitStorage(repo).add_flow(flow("new"))


# --- killed

_STAGES = ("unpack-objects", "commit-tree", "update-ref")


@pytest.mark.kernel
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("stage", _STAGES)
def test_a_writer_killed_at_any_stage_leaves_the_repository_whole(
    stage: str, when: str, repo: Path, tmp_path: Path
) -> None:
    """A `git` on the PATH kills flownb, and itself, just before or after it did what it was called for."""
    real = subprocess.run(["which", "git"], capture_output=True, text=True, check=True).stdout.strip()
    programs = tmp_path / "programs"
    programs.mkdir()
    kill = "kill -KILL $PPID; kill -KILL $$"
    act = kill if when == "before" else f'"{real}" "$@"; {kill}'
    _program(programs / "git", f'case " $* " in *" {stage} "*) {act};; *) exec "{real}" "$@";; esac')
    code = (
        "import sys\nfrom flownb.storage.git import GitStorage\nfrom git_repositories import flow\n"
        "GitStorage(sys.argv[1]).add_flow(flow('co2', 2), replace=True)\n"
    )
    env = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
    before = state(repo)
    done = subprocess.run(
        [sys.executable, "-c", code, str(repo)],
        env=env,
        capture_output=True,
        check=False,
        cwd=Path(__file__).parent,
    )
    assert done.returncode == -signal.SIGKILL
    assert_whole(repo)
    assert state(repo) == before
    written = (stage, when) == ("update-ref", "after")
    assert GitStorage(repo).get_flow("co2") == flow("co2", 2 if written else 1)
    GitStorage(repo).add_flow(flow("co2", 3), replace=True)
    assert GitStorage(repo).get_flow("co2") == flow("co2", 3)
    assert_whole(repo)


def test_the_process_that_reads_ends_with_the_storage(repo: Path) -> None:
    storage = GitStorage(repo)
    storage.get_flow("co2")
    process = storage.objects._process
    assert process is not None
    assert process.poll() is None
    del storage
    import gc

    gc.collect()
    poll(lambda: process.poll() is not None, what="the reading process to end")


def test_a_reading_process_that_was_killed_is_started_again(repo: Path) -> None:
    storage = GitStorage(repo)
    storage.get_flow("co2")
    process = storage.objects._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert storage.get_flow("co2") == flow("co2")


def test_a_command_that_does_not_end_is_stopped_with_its_helpers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pids = tmp_path / "pids"
    _program(tmp_path / "git", f"sleep 100 & echo $! > {pids}; wait")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(StorageError, match=r"git status had not ended after 0\.5 s"):
        Git().run("status", timeout=0.5)
    helper = int(pids.read_text())
    poll(lambda: not lives(helper), what="the helper to be stopped")


# --- hostile repositories


def test_variables_that_stand_for_another_repository_are_not_taken(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = work_tree(tmp_path / "other")
    before = state(other)
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(tmp_path / "objects"))
    monkeypatch.setenv("GIT_NAMESPACE", "x")
    GitStorage(repo).add_flow(flow("new"))
    assert set(GitStorage(repo).flows) == {"co2", "new"}
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE"):
        monkeypatch.delenv(name)
    assert state(other) == before
    assert not (tmp_path / "objects").exists()


# --- signatures


@pytest.fixture
def signers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Make two SSH keys; the user's own configuration takes the first one's signatures only."""
    keys = {}
    for name in ("mine", "theirs"):
        keys[name] = tmp_path / name
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(keys[name])], check=True)
    allowed = tmp_path / "allowed_signers"
    allowed.write_text(f"mara@example.com {keys['mine'].with_suffix('.pub').read_text()}")
    config = tmp_path / "gitconfig"
    config.write_text(
        f'[gpg]\n\tformat = ssh\n[gpg "ssh"]\n\tallowedSignersFile = {allowed}\n'
        f"[user]\n\tsigningKey = {keys['mine']}\n"
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    return keys


@pytest.mark.kernel
def test_only_flows_of_commits_whose_signature_git_accepts_are_taken(
    repo: Path, signers: dict[str, Path]
) -> None:
    storage = GitStorage(repo, verify="signed")
    with pytest.raises(StorageError, match=r"co2@.* is not taken: .*it has no signature"):
        storage.get_flow("co2")
    location = storage.add_flow(flow("signed"))
    assert storage.get_flow("signed") == flow("signed")
    git(repo, "verify-commit", location.partition("@")[2])
    GitStorage(repo, sign=str(signers["theirs"])).add_flow(flow("of another"))
    with pytest.raises(StorageError, match="does not accept the signature"):
        storage.get_flow("of another")
    assert GitStorage(repo).get_flow("of another") == flow("of another")
    assert set(storage.flows) == {"co2", "signed", "of another"}
    assert_whole(repo)


def test_a_repository_cannot_say_itself_whose_signatures_count(repo: Path, signers: dict[str, Path]) -> None:
    GitStorage(repo, sign=str(signers["theirs"])).add_flow(flow("of another"))
    own = repo / "allowed"
    own.write_text(f"* {signers['theirs'].with_suffix('.pub').read_text()}")
    git(repo, "config", "gpg.ssh.allowedSignersFile", str(own))
    git(repo, "config", "gpg.ssh.program", "true")
    with pytest.raises(StorageError, match="does not accept the signature"):
        GitStorage(repo, verify="signed").get_flow("of another")


def test_commits_are_signed_where_the_users_settings_say_so(repo: Path, signers: dict[str, Path]) -> None:
    git(repo, "config", "commit.gpgSign", "true")
    location = GitStorage(repo).add_flow(flow("by itself"))
    git(repo, "verify-commit", location.partition("@")[2])
    unsigned = GitStorage(repo, sign=False).add_flow(flow("not"))
    assert "gpgsig" not in git(repo, "cat-file", "commit", unsigned.partition("@")[2])


def test_a_key_that_cannot_sign_is_told_and_nothing_is_committed(
    repo: Path, signers: dict[str, Path]
) -> None:
    with pytest.raises(StorageError, match="the commit could not be signed"):
        GitStorage(repo, sign=str(signers["mine"].with_name("no key"))).add_flow(flow("new"))
    assert_as_before(repo)


def _program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path
