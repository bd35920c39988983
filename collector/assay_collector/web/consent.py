"""Questions about consent over HTTP: why something was stored, and where somebody stands. They need an admin token."""

from typing import Any

from flask import Blueprint, Response, request

from assay_collector.privacy.consent import ConsentReader
from assay_collector.web.auth import Keys
from assay_collector.web.problems import as_response, problem
from assay_collector.web.query import refuse_unless_admin
from assay_collector.web.replies import Reply, to_json

_NO_STORE = (("Cache-Control", "no-store"),)


def consent_blueprint(reader: ConsentReader, keys: Keys) -> Blueprint:
    """The routes that read consent."""
    blueprint = Blueprint("consent", __name__, url_prefix="/v1")

    @blueprint.before_request
    def _authorise() -> Response | None:
        return refuse_unless_admin(keys, request.headers.get("Authorization"))

    @blueprint.get("/events/<anything:message_id>/consent")
    def _why(message_id: str) -> Response:
        found = reader.why(message_id)
        return _answer(found, "unknown_message", "no message with this id was stored or dropped")

    @blueprint.get("/consent-log/<anything:subject>")
    def _show(subject: str) -> Response:
        return _answer(reader.show(subject), "unknown_subject", "nobody of this id ever said anything about consent")

    return blueprint


def _answer(document: dict[str, Any] | None, code: str, otherwise: str) -> Response:
    if document is None:
        return as_response(problem(404, code, otherwise))
    return as_response(Reply(200, to_json(document), _NO_STORE))
