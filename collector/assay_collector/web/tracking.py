"""
The tracking API: what Segment-compatible SDKs send, on every path they use.

It works on the WSGI environment, so that the hot path costs no framework objects; `application` offers it both in front
of Flask's routing and as Flask views.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from assay.contract.messages import MESSAGE_TYPES, MessageType
from assay.contract.reading import Arrival, Envelope, UnreadableBody, open_envelope
from assay_collector.ingest.port import RequestSignals
from assay_collector.store import Outcome, Source, StoreUnavailable
from assay_collector.web.auth import Authorization, Grant, Keys, read_authorization
from assay_collector.web.bodies import BodyRefused, read_body
from assay_collector.web.logs import log
from assay_collector.web.metrics import Metrics
from assay_collector.web.origins import client_ip
from assay_collector.web.problems import bug, problem, store_unavailable
from assay_collector.web.replies import SUCCESS, Environ, Reply, to_json
from assay_collector.web.services import Services, WebSettings

_HEADER_CHARS_MAX = 512
_TOKEN_BYTES = 12  # a body at the size limit has at most one comma or opening bracket in so many bytes
_SDK_METRICS_BYTES_MAX = 64 * 1024
_SDK_METRICS_MAX = 100

_logger = logging.getLogger("assay_collector.web")


class Route(msgspec.Struct, frozen=True):
    """What a path takes in."""

    family: str  # for metrics
    type: MessageType | None = None  # None: a batch, whose messages say it themselves
    is_sdk_metrics: bool = False


def _routes() -> dict[str, Route]:
    batch = Route("batch")
    names = {"batch": batch, "b": batch, "import": batch, "m": Route("sdk_metrics", None, True)}
    for kind in MESSAGE_TYPES:
        names[kind] = names[kind[0]] = Route(kind, kind)
    return {
        f"{prefix}/{name}{slash}": route
        for name, route in names.items()
        for prefix in ("/v1", "")
        for slash in ("", "/")
    }


ROUTES: Mapping[str, Route] = _routes()

_OK = Reply(200, SUCCESS)
_INVALID_KEY = problem(401, "invalid_write_key", "this write key is unknown or was revoked")


class TrackingApi:
    """Answers a POST to any tracking path. Nothing is raised, whatever was sent."""

    def __init__(self, services: Services, settings: WebSettings, keys: Keys, metrics: Metrics) -> None:
        self._ingest = services.ingest
        self._now = services.now
        self._random = services.random
        self._settings = settings
        self._keys = keys
        self._metrics = metrics

    def answer(self, environ: Environ, route: Route) -> Reply:
        """Take a request in, and say what became of it."""
        try:
            return self._sdk_metrics(environ) if route.is_sdk_metrics else self._receive(environ, route.type)
        except StoreUnavailable as error:
            return self._refused("unavailable", store_unavailable(error, self._random()))
        except Exception as error:  # noqa: BLE001 - the last net: a client must get JSON, whatever went wrong
            return self._refused("internal", bug(error, self._random()))

    def _receive(self, environ: Environ, type: MessageType | None) -> Reply:
        received_at = self._now()
        authorization = read_authorization(environ.get("HTTP_AUTHORIZATION"))
        body = b""
        try:
            body = read_body(environ, self._settings.body_bytes_max)
            self._check_density(body)
            envelope = _open_statements(body) if type == "consent" else open_envelope(body, type)
            self._check_size(envelope)
        except BodyRefused as refused:
            self._keep(refused.body, authorization, refused.code, refused.detail, received_at)
            return self._refused(refused.code, problem(refused.status, refused.code, refused.detail))
        except UnreadableBody as unreadable:
            self._keep(body, authorization, unreadable.code, unreadable.detail, received_at)
            return self._refused(unreadable.code, problem(400, unreadable.code, unreadable.detail))
        self._metrics.bytes.inc(len(body))
        grant = self._grant(authorization, envelope)
        if grant is None or grant.source is None:
            return self._refused("invalid_write_key", _INVALID_KEY)
        return self._admit(environ, envelope, grant, grant.source, received_at)

    def _admit(self, environ: Environ, envelope: Envelope, grant: Grant, source: Source, received_at: int) -> Reply:
        from_browser = "HTTP_ORIGIN" in environ
        if from_browser and grant.key.kind == "server":
            self._warn_of_server_key(grant, source)
        is_batch = envelope.type is None
        outcomes = self._ingest.receive(
            envelope,
            source,
            Arrival(
                received_at=received_at,
                sent_at=environ.get("HTTP_SENTAT"),
                anonymous_id=_header_id(environ.get("HTTP_ANONYMOUSID")),
            ),
            RequestSignals(
                gpc=environ.get("HTTP_SEC_GPC") == "1",
                dnt=environ.get("HTTP_DNT") == "1",
                ip=client_ip(environ, self._settings.proxy_hops),
                browser=from_browser or grant.key.kind == "browser",
                user_agent=environ.get("HTTP_USER_AGENT", "") if from_browser else None,
                # A single message's key is the request's, over which the Authorization header has won already.
                sources=self._keys.source_of if is_batch else lambda _: source,
            ),
        )
        self._metrics.count_outcomes(source.id, outcomes)
        unread = _told_of_statements(outcomes) if envelope.type == "consent" else None
        return unread or _told(environ, outcomes)

    # --- keys ---

    def _grant(self, authorization: Authorization, envelope: Envelope) -> Grant | None:
        """The Authorization header decides, then the body, then a bearer token, then the first message with a key."""
        in_body = envelope.write_key.strip() if envelope.write_key else None
        if authorization.basic is not None:
            if in_body and in_body != authorization.basic:
                self._metrics.key_conflicts.inc()
            return self._keys.find(authorization.basic)
        if in_body:
            return self._keys.find(in_body)
        if authorization.bearer is not None:
            grant = self._keys.find(authorization.bearer)
            if grant is not None:
                return grant
        return self._grant_of_items(envelope)

    def _grant_of_items(self, envelope: Envelope) -> Grant | None:
        # Every lookup of an unknown key may reach the store, so only a few are tried.
        tried: set[str] = set()
        for item in envelope.items:
            key = _item_key(item)
            if key is None or key in tried:
                continue
            grant = self._keys.find(key)
            if grant is not None:
                return grant
            tried.add(key)
            if len(tried) == 3:
                break
        return None

    def _warn_of_server_key(self, grant: Grant, source: Source) -> None:
        # Refusing would lose the site's events, since SDKs drop on 4xx; and the key is public by now either way.
        child = self._metrics.server_key_in_browser.labels(source.id)
        child.inc()
        log(_logger, logging.WARNING, "assay.server_key_in_browser", source=source.id, key=grant.key.id)

    # --- what cannot be read ---

    def _check_density(self, body: bytes) -> None:
        # A damaged body is split bracket by bracket in Python. Made of nothing else, five megabytes of it would take
        # that over ten seconds; real messages have far more text between them.
        tokens_max = self._settings.body_bytes_max // _TOKEN_BYTES
        if len(body) > tokens_max and body.count(b",") + body.count(b"{") + body.count(b"[") > tokens_max:
            raise BodyRefused(413, "batch_too_large", f"a body has at most {tokens_max} commas and brackets")

    def _check_size(self, envelope: Envelope) -> None:
        limit = self._settings.batch_events_max
        if len(envelope.items) > limit:
            raise BodyRefused(413, "batch_too_large", f"a batch has at most {limit} messages")

    def _keep(self, body: bytes, authorization: Authorization, code: str, detail: str, received_at: int) -> None:
        """Quarantine a body whose sender is known by its header; others' are only counted."""
        if not body or authorization.basic is None:
            return
        source = self._keys.source_of(authorization.basic)
        if source is not None:
            self._ingest.refuse(body, source, code, detail, received_at)

    def _refused(self, code: str, reply: Reply) -> Reply:
        self._metrics.refused.labels(code).inc()
        return reply

    # --- SDK metrics ---

    def _sdk_metrics(self, environ: Environ) -> Reply:
        """Count what an SDK reports on itself. It is no event and needs no key, so nothing about it is an error."""
        try:
            series = _read_series(read_body(environ, _SDK_METRICS_BYTES_MAX))
        except BodyRefused:
            series = ()
        source = self._reporting_source(environ)
        for line in series[:_SDK_METRICS_MAX]:
            if source is None or not self._metrics.count_client_metric(source.id, line.metric, line.value, line.tags):
                self._metrics.count_sdk_metric(line.metric, 1.0)
        return _OK

    def _reporting_source(self, environ: Environ) -> Source | None:
        """Whose client reports: only who has a key may add to a source's counters."""
        key = read_authorization(environ.get("HTTP_AUTHORIZATION")).basic
        return None if key is None else self._keys.source_of(key)


def _told(environ: Environ, outcomes: Sequence[Outcome]) -> Reply:
    """What a sender is told: only that all is well, unless it asked for more, or something was rejected."""
    rejected = sum(1 for outcome in outcomes if outcome.status == "rejected")
    if rejected:
        message = f"{rejected} of {len(outcomes)} messages were rejected; the others are stored"
        return problem(400, "rejected", message, extra={"results": _results(outcomes)})
    if "HTTP_PREFER" in environ and "return=representation" in environ["HTTP_PREFER"].lower().replace(" ", ""):
        body = to_json({"success": True, "results": _results(outcomes)})
        return Reply(200, body, (("Preference-Applied", "return=representation"),))
    return _OK


def _told_of_statements(outcomes: Sequence[Outcome]) -> Reply | None:
    """Who states what somebody refuses must hear it when that was not understood. None: all of it was."""
    unread = sum(1 for outcome in outcomes if outcome.status == "quarantined")
    if not unread:
        return None
    message = f"{unread} of {len(outcomes)} statements could not be read; the others are stored"
    return problem(400, "invalid_consent", message, extra={"results": _results(outcomes)})


def _results(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    return [
        {
            "messageId": outcome.message_id,
            "status": outcome.status,
            "code": outcome.code,
            "detail": outcome.detail,
        }
        for outcome in outcomes
    ]


def _open_statements(body: bytes) -> Envelope:
    """One statement of consent, or a batch of them, whose messages need no type."""
    if b'"batch"' in body:
        try:
            return replace(open_envelope(body, None), type="consent")
        except UnreadableBody:
            pass  # it may be one whose evidence has a batch
    return open_envelope(body, "consent")


class _Keyed(msgspec.Struct, rename="camel"):
    write_key: Any = None


class _SdkMetric(msgspec.Struct):
    metric: Any = None
    value: Any = None
    tags: Any = None


class _SdkReport(msgspec.Struct):
    series: list[_SdkMetric] = []


_decode_keyed = msgspec.json.Decoder(_Keyed).decode
_decode_report = msgspec.json.Decoder(_SdkReport).decode


def _item_key(item: bytes | memoryview | msgspec.Raw) -> str | None:
    try:
        key = _decode_keyed(memoryview(item)).write_key
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return None
    return (key.strip() or None) if isinstance(key, str) else None


def _read_series(body: bytes) -> Sequence[_SdkMetric]:
    try:
        return _decode_report(body).series
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return ()


def _header_id(value: str | None) -> str | None:
    """An id from a header; headers are Latin-1 by WSGI, and UTF-8 by those who write them."""
    if not value or len(value) > _HEADER_CHARS_MAX:
        return None
    text = value.encode("latin-1", "replace").decode("utf-8", "replace").strip()
    return text if text and text.isprintable() else None
