"""`assay doctor`: against a real collector, and against everything that can stand in its place."""

import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from assay.plans import load_plan
from assay_collector.cli import main
from serving import assay, clean_environment, serving, write_key

ROOT = Path(__file__).parents[2]
PLAN = ROOT / "schemas" / "planboard" / "plan"
CERTIFICATE = ROOT / "tests" / "deliver" / "hooks_example_test.pem"
SECRET = "wk_very-secret"

# Method and path, and the body's text -> status, headers, body.
Answers = Callable[[str, str, str], tuple[int, dict[str, str], str]]


def examined(url: str, *flags: str, key: str = SECRET, token: str | None = None) -> tuple[int, dict[str, Any], str]:
    """The exit code, each check's finding, and all that was said."""
    environment = {name: None for name in os.environ if name.startswith("ASSAY_")}
    environment |= {"ASSAY_WRITE_KEY": key, "ASSAY_ADMIN_TOKEN": token}
    done = CliRunner().invoke(main, ["doctor", "--url", url, "--format", "json", *flags], env=environment)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return done.exit_code, {line["check"]: line for line in lines if line["kind"] == "check"}, done.output


@contextmanager
def standing_in(answers: Answers, tls: bool = False) -> Iterator[str]:
    """A server that answers as it is told to; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            status, headers, text = answers(self.command, self.path, body)
            self.send_response_only(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text.encode())

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # the doctor hangs up, as it should
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def always(status: int, text: str, **headers: str) -> Answers:
    said = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda *_: (status, said, text)


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> Iterator[tuple[str, str, str]]:
    """A real collector's address, a write key and an admin token."""
    folder = tmp_path_factory.mktemp("house")
    key = write_key(folder)
    token = assay(folder, "keys", "create", "--kind", "admin").stdout.strip()
    with serving(folder) as collector:
        yield collector.url, key, token


def test_a_healthy_way_is_found_healthy(house):
    """Endpoint, key, a stored event and its receipt; the exit code says so, and no key is shown."""
    url, key, token = house
    code, found, said = examined(url, key=key, token=token)

    assert 0 == code, said
    assert {"endpoint": "good", "write key": "good", "round trip": "good", "receipt": "good"} == {
        name: finding["status"] for name, finding in found.items() if name not in ("plan", "clock")
    }
    assert found["receipt"]["detail"].startswith("source web: stored at ")
    assert key not in said
    assert token not in said


def test_what_was_not_asked_for_is_skipped_and_said(house):
    """Without a token no receipt, without leave no event."""
    url, key, _ = house

    assert "skipped" == examined(url, key=key)[1]["receipt"]["status"]
    assert "skipped" == examined(url, "--no-event", key=key)[1]["round trip"]["status"]


def test_keys_that_are_refused(house):
    """A wrong write key ends the examination; a wrong token is found out too."""
    url, key, _ = house
    code, found, said = examined(url)
    wrong_token = examined(url, key=key, token=SECRET)

    assert (1, "bad", "refused: invalid_write_key") == (
        code,
        found["write key"]["status"],
        found["write key"]["detail"],
    )
    assert "round trip" not in found
    assert (1, "bad") == (wrong_token[0], wrong_token[1]["receipt"]["status"])
    assert SECRET not in said + wrong_token[2]


JSON = {"Content_Type": "application/json"}


@pytest.mark.parametrize(
    ("answers", "detail"),
    [
        (always(301, "", Location="https://new.example/v1/batch"), "redirects to https://new.example"),
        (always(302, "", Location=f"https://new.example/?key={SECRET}"), "redirects to https://new.example/?key=***"),
        (always(200, "<html>", Content_Type="text/html"), "status 200 and text/html, no JSON"),
        (always(502, "<html>", Content_Type="text/html"), "status 502 and text/html, no JSON"),
        (always(503, '{"code": "unavailable"}', **JSON), "takes nothing at the moment: status 503 unavailable"),
        (always(404, '{"code": "not_found"}', **JSON), "has no /v1/batch"),
    ],
    ids=["moved", "quotes the key", "login page", "proxy", "overloaded", "wrong path"],
)
def test_what_stands_in_a_collectors_place(answers, detail):
    """It is named, and what comes next is left out."""
    with standing_in(answers) as url:
        code, found, said = examined(url)

    assert 1 == code
    assert {"endpoint"} == set(found)
    assert detail in found["endpoint"]["detail"]
    assert SECRET not in said


@pytest.mark.parametrize(
    ("url", "detail"),
    [
        ("http://127.0.0.1:9", "refuses connections"),
        ("http://collector.invalid", "cannot be resolved"),
    ],
)
def test_nothing_at_the_address(url, detail):
    """Whether it is the name or the port."""
    code, found, _ = examined(url)

    assert 1 == code
    assert detail in found["endpoint"]["detail"]


def test_a_certificate_that_is_not_trusted():
    """TLS is checked as the SDK does."""
    with standing_in(always(200, '{"success": true}'), tls=True) as url:
        code, found, _ = examined(url)

    assert 1 == code
    assert "a certificate that is not trusted here" in found["endpoint"]["detail"]


def test_a_clock_that_is_wrong_is_a_warning():
    """By the collector's Date; a warning leaves the exit code as it is."""
    dated = always(200, '{"success": true}', Date=formatdate(1_000_000_000, usegmt=True), **JSON)
    with standing_in(dated) as url:
        code, found, _ = examined(url, "--no-event")

    assert (0, "warning") == (code, found["clock"]["status"])
    assert "ahead of the collector's" in found["clock"]["detail"]


def test_a_real_collector_says_which_plan_it_has(tmp_path):
    """The very revision of the folder; another folder's is another."""
    key = write_key(tmp_path)
    with serving(tmp_path, "--plan", str(PLAN)) as collector:
        found = examined(collector.url, "--no-event", "--plan", str(PLAN), key=key)[1]["plan"]

    assert {"status": "good", "detail": f"as the collector's, {load_plan(PLAN).revision}"}.items() <= found.items()


def test_the_plan_is_compared_with_the_collectors():
    """By revision: the same, another, or none given."""
    revision = load_plan(PLAN).revision

    def serving_plan(served: str) -> Answers:
        def answers(method: str, path: str, _: str) -> tuple[int, dict[str, str], str]:
            body = json.dumps({"revision": served} if path == "/v1/plan" else {"success": True})
            return 200, {"Content-Type": "application/json"}, body

        return answers

    with standing_in(serving_plan(revision)) as url:
        same, none = (examined(url, "--no-event", *flags)[1]["plan"] for flags in (("--plan", str(PLAN)), ()))
    with standing_in(serving_plan("0123456789abcdef")) as url:
        other = examined(url, "--no-event", "--plan", str(PLAN))[1]["plan"]

    assert ["good", "skipped", "warning"] == [same["status"], none["status"], other["status"]]


def test_an_event_that_is_quarantined_did_arrive():
    """As one that the plan lacks it is as expected; for another reason it is a warning."""

    def quarantining(code: str) -> Answers:
        results = {"success": True, "results": [{"messageId": "m", "status": "quarantined", "code": code}]}
        return lambda *_: (200, {"Content-Type": "application/json"}, json.dumps(results))

    with standing_in(quarantining("unplanned_event")) as url:
        unplanned = examined(url)
    with standing_in(quarantining("suppressed")) as url:
        other = examined(url)

    assert [(0, "good"), (0, "warning")] == [(each[0], each[1]["round trip"]["status"]) for each in (unplanned, other)]


@pytest.mark.parametrize(
    "flags",
    [
        ("--url", "collect.example"),
        ("--url", "https://u:p@collect.example"),
        ("--url", "http://x", "--plan", "nowhere"),
        (),
    ],
    ids=["no scheme", "secret in it", "no plan", "no address"],
)
def test_misuse(flags):
    """Exit code 2, and a word on what is missing."""
    done = CliRunner().invoke(main, ["doctor", *flags], env={"ASSAY_WRITE_KEY": SECRET})

    assert 2 == done.exit_code
    assert "Error: " in done.stderr
    assert SECRET not in done.stderr


def test_for_people_it_says_what_to_do():
    """One line a check, and advice below."""
    done = subprocess.run(
        [sys.executable, "-m", "assay_collector", "doctor", "--url", "http://127.0.0.1:9"],
        env={**clean_environment(), "ASSAY_WRITE_KEY": SECRET, "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )

    assert [
        "bad      endpoint    127.0.0.1:9 refuses connections",
        "                     is the collector running there, and is the port right?",
        "",
        "events do not arrive as they should",
    ] == done.stdout.splitlines()
