"""Whether the process lives, whether it should get requests, what it measures, and what it is."""

import hmac
from importlib.metadata import PackageNotFoundError, version

from flask import Blueprint, Response, request
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from assay_collector.web.auth import read_authorization
from assay_collector.web.problems import as_response, problem, unavailable
from assay_collector.web.replies import Reply, to_json
from assay_collector.web.services import Services, WebSettings

_SECOND = 1_000_000
_NO_STORE = ("Cache-Control", "no-store")


def health_blueprint(services: Services, settings: WebSettings) -> Blueprint:
    """GET /, /healthz, /readyz and /metrics."""
    blueprint = Blueprint("health", __name__)

    @blueprint.get("/")
    def _root() -> Response:
        return as_response(Reply(200, _ABOUT))

    @blueprint.get("/healthz")
    def _alive() -> Response:
        return as_response(Reply(200, b'{"status":"alive"}', (_NO_STORE,)))

    @blueprint.get("/readyz")
    def _ready() -> Response:
        return as_response(_readiness(services, settings))

    @blueprint.get("/metrics")
    def _metrics() -> Response:
        token = read_authorization(request.headers.get("Authorization")).bearer or ""
        if settings.metrics_token is not None and not _same(token, settings.metrics_token):
            return as_response(problem(401, "unauthorized", "the metrics need their bearer token"))
        return Response(generate_latest(services.registry), 200, content_type=CONTENT_TYPE_LATEST)

    return blueprint


def _readiness(services: Services, settings: WebSettings) -> Reply:
    """
    Ready, or 503: told to stop, no store, or decisions too far behind.

    Being behind counts only where the operator set a limit: to take a collector out of service for it refuses events
    that it could store well.
    """
    if services.draining():
        return unavailable(services.random(), "draining", "this process is about to stop")
    # StoreUnavailable becomes a 503 in `problems`.
    services.store.check()
    due, waited = services.store.agenda.backlog(services.now())
    waited_seconds = waited / _SECOND
    limit = settings.ready_backlog_seconds_max
    if limit is not None and waited_seconds > limit:
        return unavailable(services.random(), "behind", f"decisions wait longer than {limit:g} seconds")
    document = {"status": "ready", "agenda": {"due": due, "waitSeconds": waited_seconds}}
    return Reply(200, to_json(document), (_NO_STORE,))


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), wanted.encode("utf-8", "surrogatepass"))


def _version() -> str:
    try:
        return version("assay")
    except PackageNotFoundError:
        return "unknown"


_ABOUT = to_json(
    {
        "service": "assay",
        "version": _version(),
        "what": "An event collector that speaks the Segment tracking API and says who is a product-qualified lead.",
        "docs": "docs/http-api.md",
        "tracking": "/v1/batch",
        "health": "/healthz",
        "ready": "/readyz",
        "metrics": "/metrics",
    }
)
