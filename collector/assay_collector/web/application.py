"""The Flask application: the one place that joins the web floor's parts."""

from flask import Flask

from assay_collector.web.services import Services, WebSettings

__all__ = ["Services", "WebSettings", "build_app"]


def build_app(services: Services, settings: WebSettings | None = None) -> Flask:
    """
    The collector's WSGI application.

    Returns:
        A Flask app without global state: two of them in one process do not know of each other.
    """
    app = Flask("assay_collector", static_folder=None, template_folder=None)
    return app
