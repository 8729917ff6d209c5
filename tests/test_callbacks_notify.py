"""Notifications, delivered to a real server on loopback."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from callback_runs import failed, make_run, store_output

from flownb.callbacks import notify, notify_zombie
from flownb.callbacks.addresses import filled, scrub, secret_in, shown, web_address
from flownb.callbacks.base import call, name_of, run_all
from flownb.callbacks.stored import deserialize, serialize
from flownb.errors import CallbackError, MissingExtraError
from flownb.parameters.secret import Secret
from flownb.runs import State
from flownb.runs.liveness import Lock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


#: apprise's own import of a module that Python 3.13 no longer has
uses_apprise = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


class Server(ThreadingHTTPServer):
    daemon_threads = False  # closing it waits for what is being answered

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that went away: that is what some tests are about."""


@dataclass
class Hook:
    """A webhook: keeps what it got, answers what it is told to, and then 200."""

    server: ThreadingHTTPServer
    got: list[dict[str, Any]] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/hook"

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.answers.append(
            (status, {name.replace("_", "-"): value for name, value in headers.items()}, body)
        )


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.got.append({"path": self.path, "headers": dict(self.headers), "body": body})
            status, headers, answer = hook.answers.pop(0) if hook.answers else (200, {}, b"ok")
            if status == 0:
                self.close_connection = True  # the connection just ends, without an answer
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def do_GET(self) -> None:
            hook.got.append({"path": self.path, "method": "GET"})
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None: ...

    hook = Hook(Server(("127.0.0.1", 0), Handler))
    thread = threading.Thread(target=hook.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield hook
    hook.server.shutdown()
    hook.server.server_close()
    thread.join()


def test_a_failed_run_is_told_as_json(project: Path, hook: Hook) -> None:
    run = failed(project, flow="Umsätze 売上", parameters={"since": "date(1990, 1, 1)", "token": "***"})
    store_output(run, "summary", "summary.json", b"1")
    assert call(notify(hook.url), run) is True
    (got,) = hook.got
    assert got["path"] == "/hook"
    assert got["headers"]["Content-Type"] == "application/json; charset=utf-8"
    assert got["headers"]["User-Agent"].startswith("flownb/")
    told = json.loads(got["body"])
    assert told.pop("text").splitlines() == [
        "Umsätze 売上: Failed after 12.5 s",
        "ValueError: no such month: 13 (step load, line 3)",
        "Outputs: summary",
        f"Run {run.id}",
    ]
    assert told == {
        "flow": "Umsätze 売上",
        "run": run.id,
        "state": "Failed",
        "parameters": {"since": "1990-01-01", "token": "***"},
        "error": {
            "kind": "ValueError",
            "message": "no such month: 13",
            "step": "load",
            "line": 3,
            "source_line": "month = parse(text)",
        },
        "started": "2026-03-01T04:00:00+00:00",
        "ended": "2026-03-01T04:00:12.500000+00:00",
        "seconds": 12.5,
        "notebook": str(run.folder / "executed.ipynb"),
        "outputs": ["summary"],
    }


@pytest.mark.parametrize(
    ("options", "states"),
    [
        ({}, ["Failed", "Crashed"]),
        ({"on": "Success"}, ["Success"]),
        ({"on": ["Cancelled", "Failed"]}, ["Failed", "Cancelled"]),
        ({"on": "any"}, list(State)),
    ],
)
def test_only_the_states_asked_for_are_told(
    project: Path, hook: Hook, options: dict[str, Any], states: list[str]
) -> None:
    callback = notify(hook.url, **options)
    for state in State:
        run = make_run(project, f"run-{state}", state=state)
        with Lock(run.folder / "lock"):  # one that is not at its end counts as dead where nobody holds it
            assert callback(run) is (str(state) in states)
    assert [json.loads(got["body"])["state"] for got in hook.got] == states


def test_notify_zombie_tells_of_crashed_runs_only(project: Path, hook: Hook) -> None:
    callback = notify_zombie(hook.url, template="$flow died in $step")
    assert callback(failed(project)) is False
    assert callback(failed(project, "crashed", state=State.CRASHED)) is True
    assert json.loads(hook.got[0]["body"])["text"] == "co2 died in load"
    with pytest.raises(CallbackError, match="no `on`"):
        notify_zombie(hook.url, on="Failed")


def test_it_tries_again_while_the_server_is_unwell(project: Path, hook: Hook) -> None:
    hook.answer(503)
    hook.answer(0)
    notify(hook.url, pause=0.01)(failed(project))
    assert len(hook.got) == 3
    assert len({got["body"] for got in hook.got}) == 1


def test_it_waits_as_long_as_the_server_asks(project: Path, hook: Hook) -> None:
    from time import monotonic

    hook.answer(429, Retry_After="1")
    begin = monotonic()
    notify(hook.url, pause=0.01)(failed(project))
    assert monotonic() - begin >= 1
    assert len(hook.got) == 2


def test_it_gives_up_and_says_what_the_last_answer_was(project: Path, hook: Hook) -> None:
    for _ in range(3):
        hook.answer(503, b"come back\nlater")
    (failure,) = run_all([notify(hook.url, pause=0.01)], failed(project))
    host = f"http://127.0.0.1:{hook.server.server_port}"
    assert failure.name == f"notify({host})"
    assert failure.error == (
        f"notify({host}): {host} did not take it (3 tries): HTTP 503 Service Unavailable: come back later"
    )
    assert len(hook.got) == 3


def test_a_refusal_is_not_tried_again(project: Path, hook: Hook) -> None:
    hook.answer(404, b"no_service")
    with pytest.raises(CallbackError, match="HTTP 404 Not Found: no_service"):
        notify(hook.url, pause=0.01)(failed(project))
    assert len(hook.got) == 1


def test_nobody_there_is_tried_and_told(project: Path, free_port: int) -> None:
    with pytest.raises(CallbackError, match=r"\(2 tries\).*refused"):
        notify(f"http://127.0.0.1:{free_port}/x", tries=2, pause=0.01)(failed(project))


def test_a_server_that_never_answers_is_given_up(project: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        callback = notify(f"http://127.0.0.1:{silent.getsockname()[1]}/", timeout=0.1, tries=2, pause=0.01)
        with pytest.raises(CallbackError, match=r"\(2 tries\).*timed out"):
            callback(failed(project))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "location", ["/elsewhere", "file:///etc/passwd", "ftp://127.0.0.1/x", "http://127.0.0.1/s3cr3t"]
)
def test_a_redirect_is_not_followed(project: Path, hook: Hook, status: int, location: str) -> None:
    hook.answer(status, Location=location)
    with pytest.raises(CallbackError, match=r"redirects to .*not followed") as caught:
        notify(hook.url)(failed(project))
    assert len(hook.got) == 1
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command to make a certificate")
def test_a_certificate_that_nobody_vouches_for_is_refused_and_not_tried_again(
    project: Path, hook: Hook, tmp_path: Path
) -> None:
    pem = tmp_path / "self-signed.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(
        [*command, *subject, "-keyout", pem, "-out", tmp_path / "cert"], check=True, capture_output=True
    )
    with pem.open("a") as file:
        file.write((tmp_path / "cert").read_text())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    hook.server.socket = context.wrap_socket(
        hook.server.socket, server_side=True, do_handshake_on_connect=False
    )
    with pytest.raises(CallbackError, match=r"did not take it: .*CERTIFICATE_VERIFY_FAILED"):
        notify(hook.url.replace("http:", "https:"), pause=0.01)(failed(project))
    assert hook.got == []


def test_secrets_come_from_the_environment_and_stay_out_of_errors(
    project: Path, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEAM_WEBHOOK", f"{hook.url}/s3cr3t-path?key=s3cr3t-key\n")
    monkeypatch.setenv("TEAM_TOKEN", "s3cr3t-token\n")
    hook.answer(400, b"bad key s3cr3t-key for /hook/s3cr3t-path with Bearer s3cr3t-token")
    callback = notify("$TEAM_WEBHOOK", headers={"Authorization": "Bearer ${TEAM_TOKEN}"})
    (failure,) = run_all([callback], failed(project))
    (got,) = hook.got
    assert got["path"] == "/hook/s3cr3t-path?key=s3cr3t-key"
    assert got["headers"]["Authorization"] == "Bearer s3cr3t-token"
    assert "HTTP 400" in failure.error
    assert "s3cr3t" not in failure.error + failure.traceback
    assert "s3cr3t" not in repr(callback) + json.dumps(serialize(callback))


def test_a_variable_that_is_not_set_is_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEAM_WEBHOOK", raising=False)
    with pytest.raises(CallbackError, match="environment variable TEAM_WEBHOOK"):
        notify("$TEAM_WEBHOOK")(failed(project))


@uses_apprise
def test_a_bad_address_from_the_environment_is_an_error_without_it(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = failed(project)
    for bad in ("s3cr3t", "https://", "http://host:port/s3cr3t", "file:///etc/s3cr3t", "htp://s3cr3t"):
        monkeypatch.setenv("TEAM_WEBHOOK", bad)
        (failure,) = run_all([notify("$TEAM_WEBHOOK")], run)
        assert failure.error.startswith("notify($TEAM_WEBHOOK)")
        assert "s3cr3t" not in failure.error + failure.traceback


def test_a_password_in_the_address_is_sent_as_such_and_never_shown(project: Path, hook: Hook) -> None:
    url = hook.url.replace("http://", "http://robot:p%40ss@")
    callback = notify(url)
    callback(failed(project))
    assert hook.got[0]["headers"]["Authorization"] == "Basic cm9ib3Q6cEBzcw=="
    assert "p%40ss" not in name_of(callback) + repr(callback)
    with pytest.raises(CallbackError, match="the password in the address"):
        serialize(callback)


def test_addresses_and_headers_with_other_letters_arrive(project: Path, hook: Hook) -> None:
    notify(hook.url + "/größe 1?q=é", headers={"X-Team": "données"})(failed(project))
    assert hook.got[0]["path"] == "/hook/gr%C3%B6%C3%9Fe%201?q=%C3%A9"


def test_a_header_cannot_smuggle_another(project: Path, hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEAM_TOKEN", "s3cr3t\r\nX-Other: 1")
    with pytest.raises(CallbackError, match="line break") as caught:
        notify(hook.url, headers={"X-Token": "$TEAM_TOKEN"})(failed(project))
    assert "s3cr3t" not in str(caught.value)
    assert hook.got == []


@uses_apprise
def test_other_addresses_go_through_apprise(project: Path, hook: Hook) -> None:
    callback = notify(f"json://127.0.0.1:{hook.server.server_port}/apprise")
    assert callback(failed(project, flow="Umsätze")) is True
    (got,) = hook.got
    told = json.loads(got["body"])
    assert got["path"].startswith("/apprise")
    assert told["title"] == "Umsätze: Failed"
    assert "no such month: 13 (step load, line 3)" in told["message"]
    assert told["type"] == "failure"


@uses_apprise
def test_what_apprise_cannot_deliver_is_a_failure_without_the_address(project: Path, hook: Hook) -> None:
    hook.answer(500)
    address = f"json://127.0.0.1:{hook.server.server_port}/s3cr3t-part"
    (failure,) = run_all([notify(address)], failed(project))
    assert failure.name == "notify(json://...)"
    assert "could not deliver" in failure.error
    assert "s3cr3t" not in failure.error + failure.traceback


def test_without_apprise_the_extra_is_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(MissingExtraError, match=r"flownb\[notify\]"):
        notify("mailto://someone@example.org")
    monkeypatch.setenv("TEAM_MAIL", "mailto://someone@example.org")
    (failure,) = run_all([notify("$TEAM_MAIL")], failed(project))
    assert "flownb[notify]" in failure.error
    assert notify("https://example.org/hook").url == "https://example.org/hook"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"url": ""}, ["`url`"]),
        ({"url": "example.org/hook"}, ["no scheme"]),
        ({"url": "https://example.org:x/"}, ["host or port"]),
        ({"url": "https:///path"}, ["host or port"]),
        ({"url": "https://a/\nb"}, ["line break"]),
        ({"on": "failed"}, ["'failed'", "Failed", "any"]),
        ({"on": []}, ["no state"]),
        ({"template": "$flo"}, ["$flo", "$flow"]),
        ({"template": "5 $"}, ["`$$`"]),
        ({"headers": {"A\nB": "x"}}, ["name of an HTTP header"]),
        ({"headers": {"A": 1}}, ["texts"]),
        ({"timeout": 0}, ["`timeout`"]),
        ({"pause": "1"}, ["`pause`"]),
        ({"tries": 0}, ["`tries`"]),
        ({"tries": True}, ["`tries`"]),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(CallbackError) as caught:
        notify(**{"url": "https://example.org/hook", **options})
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://user:password@example.org/",
        "https://example.org/hook?key=1",
        "https://hooks.slack.com/services/T/B/x",
        "https://discord.com/api/webhooks/1/x",
        "https://example.org/hook/4fd3a2c1b0e94fd3",
        "https://example.org/hook/0b6cf1b8-6b1c-4a49-8e6a-6b8d4b3f9d11",
        "slack://TokenA/TokenB/TokenC",
        "mailto://user:password@example.org",
        Secret("https://example.org/hook"),
    ],
)
def test_an_address_that_is_a_secret_is_not_stored(url: str) -> None:
    callback = notify(url)
    with pytest.raises(CallbackError, match=r"never written down|not written down") as caught:
        serialize([callback])
    assert url not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"url": "https://example.org/hooks/team-data"},
        {"url": "http://127.0.0.1:8080/"},
        {"url": "$TEAM_WEBHOOK", "on": ("Failed", "Success")},
        {"url": "https://hooks.slack.com/services/$SLACK_PATH"},
        {"url": "https://example.org/?key=${KEY}"},
        {"url": "slack://${SLACK}"},
        {"url": "$TEAM_WEBHOOK", "headers": {"Authorization": "Bearer $TOKEN", "X-Team": "data"}},
        {"url": "https://example.org/", "template": "$flow: $state", "timeout": 3, "tries": 1, "pause": 0.5},
    ],
)
def test_others_are_stored_and_come_back_equal(options: dict[str, Any]) -> None:
    callback = notify(**options)
    stored = serialize([callback])
    assert stored[0]["callback"] == "flownb.callbacks.notifications:Notify"
    assert deserialize(json.loads(json.dumps(stored))) == (callback,)


def test_a_header_that_is_a_secret_is_not_stored() -> None:
    with pytest.raises(CallbackError, match="the header X-Api-Key"):
        serialize(notify("https://example.org/", headers={"X-Api-Key": "abc"}))


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https://user:pw@example.org:8443/secret?x#y", "https://example.org:8443"),
        ("HTTP://example.org?x", "http://example.org"),
        ("$TEAM_WEBHOOK", "$TEAM_WEBHOOK"),
        ("${TEAM}/secret", "$..."),
        ("slack://tokenA/tokenB", "slack://..."),
        ("https://$HOST/secret", "https://$HOST"),
    ],
)
def test_of_an_address_only_the_host_is_shown(url: str, text: str) -> None:
    assert shown(url) == text


def test_references_are_filled_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A", "1")
    assert filled("$A-${A}-$$A-$5-$", "x") == "1-1-$A-$5-$"


def test_web_addresses_become_ascii() -> None:
    assert web_address("https://bücher.example/a b", "x") == ("https://xn--bcher-kva.example/a%20b", "")
    assert web_address("http://[::1]:80", "x") == ("http://[::1]:80/", "")


def test_scrubbing_leaves_the_host() -> None:
    assert scrub("example.org said: no token-1 for abcd", "https://example.org/token-1?k=abcd") == (
        "example.org said: no *** for ***"
    )


def test_nothing_in_a_plain_address_is_a_secret() -> None:
    assert secret_in("https://example.org/api/v2/notifications/data-science-team", {"X-Team": "data"}) == ""
