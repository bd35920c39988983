"""The Flask application: the one place that joins the web floor's parts."""

from typing import cast

from flask import Flask, Response, request

from assay_collector.web.auth import Keys
from assay_collector.web.consent import consent_blueprint
from assay_collector.web.door import Door
from assay_collector.web.health import health_blueprint
from assay_collector.web.identity import identity_blueprint
from assay_collector.web.metrics import Backlog, Metrics
from assay_collector.web.plan import plan_blueprint
from assay_collector.web.privacy import privacy_blueprint
from assay_collector.web.problems import as_response, install
from assay_collector.web.query import AnythingConverter, query_blueprint
from assay_collector.web.services import Services, WebSettings
from assay_collector.web.settings_document import settings_blueprint
from assay_collector.web.tracking import ROUTES, TrackingApi

__all__ = ["Services", "WebSettings", "build_app", "keys_of"]

_KEYS = "assay_collector.keys"


def build_app(services: Services, settings: WebSettings | None = None) -> Flask:
    """
    The collector's WSGI application.

    Returns:
        A Flask app without global state: two of them in one process do not know of each other.
    """
    settings = settings or WebSettings()
    metrics = Metrics(services.registry)
    services.registry.register(Backlog(services))
    keys = Keys(services.store.keyring, services.now, settings.key_cache_seconds)
    tracking = TrackingApi(services, settings, keys, metrics)

    app = Flask("assay_collector", static_folder=None, template_folder=None)
    # A redirect would be answered in HTML, and ids may hold slashes.
    app.url_map.merge_slashes = False
    app.url_map.strict_slashes = False
    app.url_map.converters["anything"] = AnythingConverter
    app.extensions[_KEYS] = keys
    install(app, services.random)
    _add_tracking(app, tracking)
    app.register_blueprint(settings_blueprint(settings, keys, metrics))
    app.register_blueprint(plan_blueprint(services.plan, keys))
    app.register_blueprint(query_blueprint(services, settings, keys))
    if services.office is not None:
        app.register_blueprint(privacy_blueprint(services.office, settings, keys))
    if services.identity is not None:
        app.register_blueprint(identity_blueprint(services.identity, settings, keys))
    if services.consent is not None:
        app.register_blueprint(consent_blueprint(services.consent, keys))
    app.register_blueprint(health_blueprint(services, settings))
    app.wsgi_app = Door(app.wsgi_app, tracking, metrics, settings.cors_origins)  # type: ignore[method-assign]
    return app


def keys_of(app: Flask) -> Keys:
    """The app's key cache, to be invalidated when this process changes keys."""
    return cast(Keys, app.extensions[_KEYS])


def _add_tracking(app: Flask, tracking: TrackingApi) -> None:
    """The tracking API as Flask views: what the door lets pass, and what answers 405 to another method."""

    def _track() -> Response:
        return as_response(tracking.answer(request.environ, ROUTES[request.path]))

    for path in ROUTES:
        app.add_url_rule(path, endpoint="track", view_func=_track, methods=["POST"], provide_automatic_options=False)
