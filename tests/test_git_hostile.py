"""What a repository's own settings name runs when git is called plainly, and never through flownb.

Each case first shows that it would run: a setting that plain git does not heed either proves nothing.
"""

from __future__ import annotations

import contextlib
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from git_repositories import assert_whole, flow, git, work_tree
from git_servers import bare, over_http

from flownb.errors import StorageError
from flownb.storage.git import GitStorage

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.kernel  # many real commands

NOWHERE = "ssh://127.0.0.1:1/flows.git"


@dataclass(frozen=True)
class Place:
    """A repository with a flow and a remote, and a program that tells when it is run."""

    repo: Path
    remote: Path
    evil: Path
    ran: Path

    def set(self, **settings: object) -> None:
        for name, value in settings.items():
            git(self.repo, "config", name.replace("__", "-").replace("_", "."), str(value))

    def has_run(self) -> bool:
        """Whether the program has run since this was asked last."""
        there = self.ran.exists()
        self.ran.unlink(missing_ok=True)
        return there


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    repo, remote = work_tree(folder / "repo"), bare(folder / "remote.git")
    git(repo, "remote", "add", "origin", "../remote.git")
    storage = GitStorage(repo)
    storage.add_flow(flow("co2"))
    storage.push()
    assert git(remote, "rev-parse", "flownb") == git(repo, "rev-parse", "flownb")
    return folder


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Place:
    shutil.copytree(made, tmp_path / "all", symlinks=True)
    ran = tmp_path / "ran"
    evil = program(tmp_path / "evil", f'echo "$0 $*" >> {ran}; exit 1')
    return Place(tmp_path / "all" / "repo", tmp_path / "all" / "remote.git", evil, ran)


def program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def everything(repo: Path) -> None:
    """Do all that flownb does with a repository; what is refused is refused."""
    storage = GitStorage(repo)
    first = storage.flows["co2"]
    storage.get_flow("co2@HEAD")
    storage.history("co2")
    assert storage.origin is None or isinstance(storage.origin, str)
    acts: tuple[Callable[[], object], ...] = (
        lambda: storage.add_flow(flow("co2", 2), replace=True),
        lambda: storage.restore(first),
        lambda: storage.add_flow(flow("other")),
        lambda: storage.remove("other"),
        lambda: storage.tag("co2", "v1"),
        lambda: storage.get_flow("co2@" + "1" * 40),
        lambda: GitStorage(repo, verify="signed").get_flow("co2"),
        lambda: GitStorage(repo, revision="nothing").flows,
        storage.push,
        storage.pull,
        storage.build,
    )
    for act in acts:
        with contextlib.suppress(StorageError):
            act()


def plain(place: Place, *words: str) -> None:
    """Call git as a person would, who may be shown an error."""
    subprocess.run(
        ["git", *words],
        cwd=place.repo, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60,
    )  # fmt: skip


def a_hook(place: Place) -> tuple[str, ...]:
    program(place.repo / ".git" / "hooks" / "reference-transaction", f"echo hook >> {place.ran}")
    return "update-ref", "refs/heads/new", "HEAD"


def a_folder_of_hooks(place: Place) -> tuple[str, ...]:
    program(place.evil.parent / "hooks" / "reference-transaction", f"echo hook >> {place.ran}")
    place.set(core_hooksPath=place.evil.parent / "hooks")
    return "update-ref", "refs/heads/new", "HEAD"


def a_hook_of_pushes(place: Place) -> tuple[str, ...]:
    program(place.repo / ".git" / "hooks" / "pre-push", f"echo hook >> {place.ran}")
    return "push", "origin", "HEAD:plain"


def a_file_system_monitor(place: Place) -> tuple[str, ...]:
    place.set(core_fsmonitor=place.evil)
    return ("status",)


def a_monitor_in_an_included_file(place: Place) -> tuple[str, ...]:
    included = place.evil.parent / "included"
    included.write_text(f"[core]\n\tfsmonitor = {place.evil}\n")
    place.set(include_path=included)
    return ("status",)


def a_monitor_included_on_a_condition(place: Place) -> tuple[str, ...]:
    included = place.evil.parent / "included"
    included.write_text(f"[core]\n\tfsmonitor = {place.evil}\n")
    git(place.repo, "config", f"includeIf.gitdir:{place.repo}/.path", str(included))
    return ("status",)


def an_external_diff(place: Place) -> tuple[str, ...]:
    place.set(diff_external=place.evil)
    return "diff", "HEAD"


def attributes(place: Place) -> None:
    for file in (place.repo / ".gitattributes", place.repo / ".git" / "info" / "attributes"):
        file.write_text("* filter=evil diff=evil merge=evil -text\n")


def a_text_conversion(place: Place) -> tuple[str, ...]:
    attributes(place)
    place.set(diff_evil_textconv=place.evil)
    return "diff", "HEAD"


def a_filter(place: Place) -> tuple[str, ...]:
    attributes(place)
    place.set(filter_evil_clean=place.evil, filter_evil_smudge=place.evil, filter_evil_required="true")
    return "add", "analysis.py"


def an_ssh_command(place: Place) -> tuple[str, ...]:
    place.set(core_sshCommand=place.evil)
    git(place.repo, "remote", "set-url", "origin", NOWHERE)
    return "ls-remote", "origin"


def a_proxy(place: Place) -> tuple[str, ...]:
    place.set(core_gitProxy=place.evil)
    git(place.repo, "remote", "set-url", "origin", "git://127.0.0.1:1/flows.git")
    return "ls-remote", "origin"


def the_other_side_of_a_fetch(place: Place) -> tuple[str, ...]:
    place.set(remote_origin_uploadpack=place.evil)
    return "ls-remote", "origin"


def the_other_side_of_a_push(place: Place) -> tuple[str, ...]:
    place.set(remote_origin_receivepack=place.evil)
    return "push", "origin", "HEAD:plain"


def the_other_side_by_the_url(place: Place) -> tuple[str, ...]:
    url = place.remote.as_uri()
    git(place.repo, "config", f"remote.{url}.url", url)
    git(place.repo, "config", f"remote.{url}.uploadpack", str(place.evil))
    place.set(remote_origin_url=url)
    return "ls-remote", url


def a_transport_that_runs_anything(place: Place) -> tuple[str, ...]:
    place.set(protocol_ext_allow="always", remote_origin_url=f"ext::{place.evil}")
    return "ls-remote", "origin"


def a_helper_for_a_remote(place: Place) -> tuple[str, ...]:
    place.set(protocol_ext_allow="always", remote_origin_url=str(place.evil), remote_origin_vcs="ext")
    return "ls-remote", "origin"


def the_rest_of_a_partial_clone(place: Place) -> tuple[str, ...]:
    place.set(core_repositoryFormatVersion=1, extensions_partialClone="origin", remote_origin_promisor="true")
    place.set(remote_origin_uploadpack=place.evil)
    return "cat-file", "-p", "1" * 40


def refs_of_alternates(place: Place) -> tuple[str, ...]:
    other = work_tree(place.evil.parent / "alternate")
    (place.repo / ".git" / "objects" / "info" / "alternates").write_text(f"{other / '.git' / 'objects'}\n")
    place.set(core_alternateRefsCommand=place.evil)
    git(place.remote, "update-ref", "refs/heads/news", commit_in(place.remote))
    return "fetch", "origin"


def commit_in(repository: Path) -> str:
    return git(repository, "commit-tree", git(repository, "rev-parse", "flownb^{tree}"), "-m", "news")


def a_program_of_signatures(place: Place) -> tuple[str, ...]:
    signed(place)
    place.set(gpg_program=place.evil)
    return "verify-commit", "flownb"


def a_program_of_signatures_by_its_other_name(place: Place) -> tuple[str, ...]:
    signed(place)
    place.set(gpg_openpgp_program=place.evil)
    return "verify-commit", "flownb"


def signatures_shown_in_the_log(place: Place) -> tuple[str, ...]:
    signed(place)
    place.set(gpg_program=place.evil, log_showSignature="true")
    return "log", "-1", "flownb"


def signed(place: Place) -> None:
    """Make the newest commit of the branch one that says to have a GPG signature."""
    head, _, message = git(place.repo, "cat-file", "commit", "flownb").partition("\n\n")
    signature = "gpgsig -----BEGIN PGP SIGNATURE-----\n \n iQEz\n -----END PGP SIGNATURE-----"
    content = f"{head}\n{signature}\n\n{message}\n"
    made = subprocess.run(
        ["git", "hash-object", "-t", "commit", "-w", "--stdin"],
        cwd=place.repo, input=content, capture_output=True, text=True, check=True,
    )  # fmt: skip
    git(place.repo, "update-ref", "refs/heads/flownb", made.stdout.strip())


def a_program_of_ssh_signatures(place: Place) -> tuple[str, ...]:
    key = place.evil.with_name("key")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    place.set(gpg_format="ssh", user_signingKey=key, gpg_ssh_allowedSignersFile=place.evil)
    GitStorage(place.repo, sign=True).add_flow(flow("co2", "signed"), replace=True)
    place.set(gpg_ssh_program=place.evil)
    return "verify-commit", "flownb"


def a_program_that_names_keys(place: Place) -> tuple[str, ...]:
    place.set(gpg_format="ssh", commit_gpgSign="true", gpg_ssh_defaultKeyCommand=place.evil)
    return "commit", "--allow-empty", "-m", "signed"


CASES = (
    a_hook,
    a_folder_of_hooks,
    a_hook_of_pushes,
    a_file_system_monitor,
    a_monitor_in_an_included_file,
    a_monitor_included_on_a_condition,
    an_external_diff,
    a_text_conversion,
    a_filter,
    an_ssh_command,
    a_proxy,
    the_other_side_of_a_fetch,
    the_other_side_of_a_push,
    the_other_side_by_the_url,
    a_transport_that_runs_anything,
    a_helper_for_a_remote,
    the_rest_of_a_partial_clone,
    refs_of_alternates,
    a_program_of_signatures,
    a_program_of_signatures_by_its_other_name,
    signatures_shown_in_the_log,
    a_program_of_ssh_signatures,
    a_program_that_names_keys,
)


@pytest.mark.parametrize("bring", CASES, ids=lambda case: case.__name__.replace("_", " "))
def test_what_a_repository_names_runs_by_plain_git_and_not_by_flownb(
    bring: Callable[[Place], tuple[str, ...]], place: Place
) -> None:
    words = bring(place)
    place.has_run()
    plain(place, *words)
    assert place.has_run(), "plain git does not run it either, so this proves nothing"
    everything(place.repo)
    assert not place.ran.exists(), place.ran.read_text()


@pytest.mark.parametrize("setting", ["credential.helper", "credential.{url}.helper", "core.askPass"])
def test_passwords_are_asked_of_no_program_of_the_repository(setting: str, place: Place) -> None:
    with over_http(place.remote.parent) as server:
        server.password = "secret"
        url = f"{server.url}/remote.git"
        git(place.repo, "remote", "set-url", "origin", url)
        git(place.repo, "config", setting.format(url=server.url), str(place.evil))
        plain(place, "ls-remote", "origin")
        assert place.has_run()
        everything(place.repo)
        assert not place.ran.exists(), place.ran.read_text()


def test_a_transfer_that_failed_tells_which_settings_were_left_out(place: Place) -> None:
    an_ssh_command(place)
    GitStorage(place.repo).add_flow(flow("new"))
    with pytest.raises(StorageError, match=r"core\.sshcommand.*flownb\.programsOf"):
        GitStorage(place.repo).push()
    assert "new" in GitStorage(place.repo)
    assert_whole(place.repo)


def test_a_transfer_that_cannot_leave_them_out_is_refused(place: Place) -> None:
    the_rest_of_a_partial_clone(place)
    with pytest.raises(StorageError, match=r"names programs that would run: remote\.origin\.uploadpack"):
        GitStorage(place.repo).pull()


def test_an_other_url_is_not_put_in_the_place_of_one_that_a_person_gave(place: Place) -> None:
    git(place.repo, "config", "url.http://127.0.0.1:1/evil/.insteadOf", str(place.remote.parent))
    with pytest.raises(StorageError, match="puts another URL in its place"):
        GitStorage(place.repo, remote=str(place.remote)).push()


def test_what_the_user_s_own_configuration_names_is_used(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "gitconfig"
    mine = program(tmp_path / "mine", f"echo mine >> {place.ran}.mine; exit 1")
    own.write_text(f"[core]\n\tsshCommand = {mine}\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(own))
    an_ssh_command(place)
    with pytest.raises(StorageError):
        GitStorage(place.repo).pull()
    assert Path(f"{place.ran}.mine").exists()
    assert not place.ran.exists()


def test_a_repository_that_the_user_names_may_bring_its_own(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "gitconfig"
    own.write_text(f"[flownb]\n\tprogramsOf = {place.repo}\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(own))
    an_ssh_command(place)
    with pytest.raises(StorageError):
        GitStorage(place.repo).pull()
    assert place.has_run()
    # said by the repository itself, it is worth nothing
    own.write_text("")
    git(place.repo, "config", "flownb.programsOf", str(place.repo))
    with pytest.raises(StorageError):
        GitStorage(place.repo).pull()
    assert not place.has_run()
