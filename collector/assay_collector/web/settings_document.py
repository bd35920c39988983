"""
The settings document that browser and mobile SDKs fetch before they send anything.

Without ``integrations["Segment.io"].apiKey`` the browser's SDK sends events with no key, and with an error here it does
not start at all. ``httpConfig`` tunes how browsers, Swift, Kotlin and React Native try again.
"""

from typing import Any

from flask import Blueprint, Response, request

from assay_collector.store import Source
from assay_collector.web.auth import Keys
from assay_collector.web.metrics import Metrics
from assay_collector.web.origins import public_address
from assay_collector.web.problems import as_response, problem
from assay_collector.web.replies import Reply, to_json
from assay_collector.web.services import WebSettings

_CACHE = ("Cache-Control", "public, max-age=60")
_HALF_A_DAY_SECONDS = 43_200

# 408, 410, 429 and 460 are never answered by us, but by proxies in between.
_HTTP_CONFIG: dict[str, Any] = {
    "rateLimitConfig": {
        "enabled": True,
        "maxRetryCount": 100,
        "maxRetryInterval": 300,
        "maxRateLimitDuration": _HALF_A_DAY_SECONDS,
    },
    "backoffConfig": {
        "enabled": True,
        "maxRetryCount": 100,
        "baseBackoffInterval": 1.0,
        "maxBackoffInterval": 300,
        "maxTotalBackoffDuration": _HALF_A_DAY_SECONDS,
        "jitterPercent": 25,
        "default4xxBehavior": "drop",
        "default5xxBehavior": "retry",
        "statusCodeOverrides": {"408": "retry", "410": "retry", "429": "retry", "460": "retry"},
    },
}


def settings_document(write_key: str, source: Source, scheme: str, host: str) -> dict[str, Any]:
    """
    What an SDK of this source should know.

    Args:
        scheme: http or https.
        host: Where the tracking API is, without ``/v1``.
    """
    # Mobile SDKs read the retries' tuning at the top, the browser's only inside its destination.
    destination = {"apiKey": write_key, "apiHost": f"{host}/v1", "protocol": scheme, "httpConfig": _HTTP_CONFIG}
    document: dict[str, Any] = {
        "integrations": {"Segment.io": destination},
        "plan": {},
        "metrics": {"sampleRate": 0},
        "httpConfig": _HTTP_CONFIG,
    }
    if source.categories:
        document["consentSettings"] = {"allCategories": sorted(source.categories), "hasUnmappedDestinations": False}
    return document


def settings_blueprint(settings: WebSettings, keys: Keys, metrics: Metrics) -> Blueprint:
    """GET /v1/projects/<writeKey>/settings, with and without /v1."""
    blueprint = Blueprint("settings_document", __name__)

    @blueprint.get("/v1/projects/<write_key>/settings")
    @blueprint.get("/projects/<write_key>/settings")
    def _settings(write_key: str) -> Response:
        grant = keys.find(write_key)
        if grant is None or grant.source is None:
            return as_response(problem(401, "invalid_write_key", "this write key is unknown or was revoked"))
        if grant.key.kind == "server":
            metrics.server_key_in_browser.labels(grant.source.id).inc()
        scheme, host = public_address(request.environ, settings.public_url, settings.proxy_hops)
        document = settings_document(write_key, grant.source, scheme, host)
        return as_response(Reply(200, to_json(document), (_CACHE,)))

    return blueprint
