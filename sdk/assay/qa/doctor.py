"""`assay doctor`: do this machine's events reach the collector, and if not, where do they stop?"""

import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import quote, urlsplit
from uuid import uuid4

import click

from assay._version import __version__
from assay.contract.plan import Plan, PlanError
from assay.contract.times import format_instant
from assay.plans import load_plan
from assay.qa.terminal import EXIT_CLEAN, EXIT_FOUND, counted, format_option, say, unusable, write_json

if TYPE_CHECKING:
    import httpx

__all__ = ["doctor"]

EVENT: Final = "Assay Doctor Called"
VISITOR: Final = "assay-doctor"
# Up to a minute, a collector takes the difference for the network's.
SKEW_SECONDS_MAX: Final = 60.0
RECEIPT_SECONDS_MAX: Final = 5.0
_QUIET_CODES = ("unplanned_event",)

Status = Literal["good", "warning", "bad", "skipped"]


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    check: str
    status: Status
    detail: str
    # What to do about it.
    advice: str = ""

    def to_json(self) -> dict[str, str]:
        """For programs."""
        return {"kind": "check", **{name: value for name, value in vars(self).items() if value}}


@dataclass(frozen=True, kw_only=True)
class Patient:
    """What is examined: an app's way to its collector."""

    url: str
    write_key: str
    admin_token: str | None
    plan: Plan | None
    sends_event: bool
    http: "httpx.Client"

    def ask(self, method: str, path: str, *, secret: str | None = None, **more: Any) -> "Answer":
        """A request, with the write key or another secret, and what came of it."""
        headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
        auth = (self.write_key, "") if secret is None else None
        began = time.time()
        response = self.http.request(
            method, self.url + path, headers={**headers, **more.pop("headers", {})}, auth=auth, **more
        )
        return Answer(response, began, time.time())


@dataclass(frozen=True)
class Answer:
    """A response, and when it was asked for and came (seconds since the Unix epoch)."""

    response: "httpx.Response"
    asked_at: float
    came_at: float

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def body(self) -> dict[str, Any] | None:
        """The JSON object; None: it is none."""
        try:
            found = self.response.json()
        except ValueError:
            return None
        return found if isinstance(found, dict) else None

    @property
    def code(self) -> str:
        """The error's code, if there is one."""
        return str((self.body or {}).get("code", ""))[:60]


def examine(patient: Patient) -> Iterator[Finding]:
    """Check after check, each as soon as it is done; what depends on one that failed is left out."""
    import httpx

    try:
        answer = patient.ask("POST", "/v1/batch", json={"batch": []})
    except httpx.HTTPError as error:
        yield _unreachable(patient.url, error)
        return
    endpoint = _endpoint(answer)
    yield endpoint
    if endpoint.status == "bad":
        return
    key = _write_key(answer)
    yield key
    rest = (_clock(answer), *((_plan, _round_trip) if key.status == "good" else ()))
    for check in rest:
        try:
            yield from [check] if isinstance(check, Finding) else check(patient)
        except httpx.HTTPError as error:
            yield _unreachable(patient.url, error)


def _endpoint(answer: Answer) -> Finding:
    milliseconds = (answer.came_at - answer.asked_at) * 1000
    if 300 <= answer.status < 400:
        target = answer.response.headers.get("Location", "").removesuffix("/v1/batch")
        return Finding(
            "endpoint",
            "bad",
            f"redirects to {target} (status {answer.status})",
            "give that address; SDKs do not follow it, so that the write key goes nowhere else",
        )
    if answer.body is None:
        kind = answer.response.headers.get("Content-Type", "nothing that it names")
        return Finding(
            "endpoint",
            "bad",
            f"answers with status {answer.status} and {kind}, no JSON: a proxy, a login page or another site",
            "check the address, and the proxy's error pages (docs/http-api.md has a configuration)",
        )
    if answer.status == 404 or answer.status == 405:
        return Finding(
            "endpoint",
            "bad",
            f"has no /v1/batch (status {answer.status})",
            "give the address without a path, unless the collector is behind one",
        )
    if answer.status >= 500 or answer.status == 429:
        said = f"status {answer.status} {answer.code}".rstrip()
        return Finding("endpoint", "bad", f"takes nothing at the moment: {said}", "look at the collector's log")
    return Finding("endpoint", "good", f"answers in {milliseconds:.0f} ms")


def _write_key(answer: Answer) -> Finding:
    if answer.status == 200:
        return Finding("write key", "good", "accepted")
    if answer.status in (401, 403):
        advice = "make one with: assay keys create --source NAME"
        return Finding("write key", "bad", f"refused: {answer.code or answer.status}", advice)
    return Finding("write key", "bad", f"not accepted: status {answer.status} {answer.code}".rstrip())


def _clock(answer: Answer) -> Finding:
    try:
        server = parsedate_to_datetime(answer.response.headers["Date"]).timestamp() + 0.5  # it has whole seconds
    except (KeyError, ValueError):
        return Finding("clock", "skipped", "the answer has no date")
    ahead = (answer.asked_at + answer.came_at) / 2 - server
    if abs(ahead) <= 1.5:
        return Finding("clock", "good", "as the collector's, to the second")
    where = f"{abs(ahead):,.0f} s {'ahead of' if ahead > 0 else 'behind'} the collector's"
    if abs(ahead) <= SKEW_SECONDS_MAX:
        return Finding("clock", "good", where)
    return Finding(
        "clock", "warning", where, "set this machine's clock; the collector corrects the times of events by it"
    )


def _plan(patient: Patient) -> Iterator[Finding]:
    answer = patient.ask("GET", "/v1/plan")
    served = str((answer.body or {}).get("revision", "")) or answer.response.headers.get("ETag", "").strip('W/"')
    if answer.status != 200 or not served:
        yield Finding("plan", "skipped", "the collector serves none")
    elif patient.plan is None:
        yield Finding("plan", "skipped", f"the collector's is {served}; give yours with --plan to compare")
    elif patient.plan.revision == served:
        yield Finding("plan", "good", f"as the collector's, {served}")
    else:
        detail = f"yours is {patient.plan.revision}, the collector's {served}"
        yield Finding("plan", "warning", detail, "events may pass here and be quarantined there; bring them together")


def _round_trip(patient: Patient) -> Iterator[Finding]:
    if not patient.sends_event:
        yield Finding("round trip", "skipped", "no event was to be sent")
        return
    message_id = f"assay-doctor-{uuid4()}"
    event = {"type": "track", "event": EVENT, "anonymousId": VISITOR, "messageId": message_id}
    sent_at = format_instant(time.time_ns() // 1000)
    context = {"library": {"name": "assay-doctor", "version": __version__}}
    body = {"sentAt": sent_at, "batch": [{**event, "timestamp": sent_at, "context": context}]}
    answer = patient.ask("POST", "/v1/batch", json=body, headers={"Prefer": "return=representation"})
    yield _result(answer)
    if patient.admin_token is None:
        yield Finding("receipt", "skipped", "needs an admin token", "set ASSAY_ADMIN_TOKEN")
    else:
        yield _receipt(patient, patient.admin_token, message_id)


def _result(answer: Answer) -> Finding:
    results = (answer.body or {}).get("results")
    result = results[0] if isinstance(results, list) and results and isinstance(results[0], dict) else {}
    status, code = str(result.get("status", "")), str(result.get("code") or "")
    if answer.status == 200 and status in ("stored", "duplicate"):
        return Finding("round trip", "good", f"an event {EVENT!r} was {status}")
    if answer.status == 200 and status == "quarantined":
        if code in _QUIET_CODES:
            return Finding(
                "round trip", "good", f"an event {EVENT!r} arrived; it is in quarantine, as the plan lacks it"
            )
        return Finding("round trip", "warning", f"an event {EVENT!r} arrived, and is in quarantine: {code}")
    if answer.status == 200 and not status:
        return Finding("round trip", "good", f"an event {EVENT!r} was accepted; the collector does not say more")
    return Finding(
        "round trip", "bad", f"an event was not taken: status {answer.status} {answer.code or code}".rstrip()
    )


def _receipt(patient: Patient, token: str, message_id: str) -> Finding:
    ends_at = time.monotonic() + RECEIPT_SECONDS_MAX
    while True:
        answer = patient.ask("GET", f"/v1/receipts/{quote(message_id)}", secret=token)
        if answer.status != 404 or time.monotonic() > ends_at:
            break
        time.sleep(0.2)
    receipts = (answer.body or {}).get("receipts")
    if answer.status == 200 and isinstance(receipts, list) and receipts:
        source, status = receipts[0].get("source"), receipts[0].get("status")
        return Finding("receipt", "good", f"source {source}: {status} at {receipts[0].get('receivedAt')}")
    if answer.status in (401, 403):
        return Finding(
            "receipt",
            "bad",
            f"the admin token was refused: {answer.code}",
            "make one with: assay keys create --kind admin",
        )
    return Finding(
        "receipt", "bad", f"none came in {RECEIPT_SECONDS_MAX:g} s: status {answer.status} {answer.code}".rstrip()
    )


def _unreachable(url: str, error: Exception) -> Finding:
    host = urlsplit(url).netloc
    for cause in _causes(error):
        for kind, detail, advice in _FAILURES:
            if isinstance(cause, kind):
                return Finding("endpoint", "bad", f"{host} {detail}", advice)
    return Finding("endpoint", "bad", f"{host} does not answer: {type(error).__name__}", "is the collector running?")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


_FAILURES: Final[tuple[tuple[type[BaseException], str, str], ...]] = (
    (
        ssl.SSLCertVerificationError,
        "has a certificate that is not trusted here",
        "set SSL_CERT_FILE to its authority's",
    ),
    (ssl.SSLError, "does not speak TLS as expected", "is it http, not https?"),
    (socket.gaierror, "is a name that cannot be resolved", "check the address and this machine's DNS"),
    (ConnectionRefusedError, "refuses connections", "is the collector running there, and is the port right?"),
    (ConnectionResetError, "closes the connection", "is it https, not http?"),
    (TimeoutError, "does not answer in time", "is there a firewall in between?"),
)


@click.command()
@click.option("--url", envvar="ASSAY_URL", show_envvar=True, required=True, help="The collector's address.")
@click.option("--write-key", envvar="ASSAY_WRITE_KEY", show_envvar=True, required=True, help="The source's key.")
@click.option("--admin-token", envvar="ASSAY_ADMIN_TOKEN", show_envvar=True, help="Lets the receipt be looked up.")
@click.option(
    "--plan",
    "plan_folder",
    type=click.Path(path_type=Path),
    envvar="ASSAY_PLAN",
    show_envvar=True,
    metavar="DIR",
    help="The app's tracking plan, to be compared with the collector's.",
)
@click.option("--no-event", is_flag=True, help="Do not send a test event.")
@click.option(
    "--timeout", type=click.FloatRange(0.1, 300), default=10.0, show_default=True, help="Seconds per request."
)
@format_option
def doctor(
    url: str,
    write_key: str,
    admin_token: str | None,
    plan_folder: Path | None,
    no_event: bool,
    timeout: float,
    form: str,
) -> None:
    """
    Check the way of events from this machine to the collector.

    Looks at the address (names, TLS, redirects, proxies that answer in HTML), the write key, the clock and the plan,
    then sends one event "Assay Doctor Called" of the visitor "assay-doctor" and looks for its receipt. Keys are better
    set in the environment, as other users of a machine can see command lines; none is ever printed.

    \b
    Examples:
      ASSAY_WRITE_KEY=... assay doctor --url https://collect.example
      assay doctor --plan schemas/plan --format json
      assay doctor --no-event

    \b
    Exit code:
      0  events arrive (there may be warnings)
      1  something is wrong
      2  the plan cannot be read, or the command was misused
    """
    import httpx

    address = _address(url)
    plan = _loaded(plan_folder)
    show = _shower(form, [secret for secret in (write_key, admin_token) if secret])
    found = []
    with httpx.Client(
        timeout=timeout, follow_redirects=False, headers={"User-Agent": f"assay-doctor/{__version__}"}
    ) as http:
        patient = Patient(
            url=address, write_key=write_key, admin_token=admin_token, plan=plan, sends_event=not no_event, http=http
        )
        for finding in examine(patient):
            show(finding)
            found.append(finding.status)
    bad, warnings = found.count("bad"), found.count("warning")
    if form == "json":
        write_json({"kind": "summary", "bad": bad, "warnings": warnings, "skipped": found.count("skipped")})
    else:
        say("")
        say(
            "events arrive" + (f"; {counted(warnings, 'warning')}" if warnings else "")
            if not bad
            else "events do not arrive as they should"
        )
    sys.exit(EXIT_FOUND if bad else EXIT_CLEAN)


def _shower(form: str, secrets: list[str]) -> Callable[[Finding], None]:
    def show(finding: Finding) -> None:
        # What comes from outside may quote what it was sent.
        clean = {name: _without(value, secrets) for name, value in finding.to_json().items()}
        if form == "json":
            write_json(clean)
            return
        say(f"{clean['status']:<8} {clean['check']:<11} {clean['detail']}")
        if "advice" in clean:
            say(f"{'':<20} {clean['advice']}")

    return show


def _without(text: str, secrets: list[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, "***")
    return text[:500]


def _address(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise click.UsageError("--url must be the collector's http(s) address, such as https://collect.example")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise click.UsageError("--url must have no user name, password, query or fragment")
    return url.rstrip("/")


def _loaded(folder: Path | None) -> Plan | None:
    try:
        return None if folder is None else load_plan(folder)
    except PlanError as error:
        raise unusable(error) from None
