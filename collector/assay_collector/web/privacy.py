"""The rights of persons over HTTP. It needs an admin token, whose id is put on record with each request."""

from typing import Any

import msgspec
from flask import Blueprint, Response, request

from assay_collector.privacy.office import (
    AlreadyErased,
    AmbiguousSubject,
    Office,
    Subject,
    UnknownRequest,
    UnknownSubject,
)
from assay_collector.store import PrivacyRequest, RequestKind
from assay_collector.web.auth import Keys, read_authorization
from assay_collector.web.bodies import BodyRefused, read_body
from assay_collector.web.problems import as_response, problem
from assay_collector.web.query import refuse_unless_admin
from assay_collector.web.replies import Reply, to_json
from assay_collector.web.services import WebSettings

_NO_STORE = (("Cache-Control", "no-store"),)
_WANTED = 'send {"kind": "export" | "erase" | "suppress", "subject": "..."}, and perhaps namespace, type, by and reason'


class _Order(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    kind: RequestKind
    subject: str
    namespace: str | None = None
    type: str | None = None
    by: str = ""
    reason: str = ""


class _Unusable(Exception):
    """The body cannot be used."""


def privacy_blueprint(office: Office, settings: WebSettings, keys: Keys) -> Blueprint:
    """The routes under /v1/privacy."""
    blueprint = Blueprint("privacy", __name__, url_prefix="/v1/privacy")

    @blueprint.before_request
    def _authorise() -> Response | None:
        return refuse_unless_admin(keys, request.headers.get("Authorization"))

    _add_errors(blueprint)
    _add_requests(blueprint, office, settings.body_bytes_max, keys)
    return blueprint


def _add_requests(blueprint: Blueprint, office: Office, body_bytes_max: int, keys: Keys) -> None:
    @blueprint.post("/requests")
    def _enter() -> Response:
        order = _read_order(body_bytes_max)
        subject = Subject(value=order.subject, namespace=order.namespace, type=order.type)
        entered = office.enter(order.kind, subject, by=_who(order.by, keys), reason=order.reason)
        return _answer(office.describe(entered))

    @blueprint.get("/requests")
    def _list() -> Response:
        return _answer({"requests": [office.describe(each) for each in office.requests()]})

    @blueprint.get("/requests/<request_id>")
    def _show(request_id: str) -> Response:
        return _answer(office.describe(_find(office, request_id)))

    @blueprint.get("/requests/<request_id>/export")
    def _export(request_id: str) -> Response:
        found = _find(office, request_id)
        if found.kind != "export":
            return as_response(problem(400, "invalid_request", "this request is no export"))
        return Response(office.export(found), content_type="application/x-ndjson", headers=dict(_NO_STORE))

    @blueprint.post("/requests/<request_id>/lift")
    def _lift(request_id: str) -> Response:
        office.lift(_find(office, request_id).request_id)
        return _answer(office.describe(_find(office, request_id)))


def _add_errors(blueprint: Blueprint) -> None:
    @blueprint.errorhandler(_Unusable)
    def _unusable(error: _Unusable) -> Response:
        return as_response(problem(400, "invalid_parameter", str(error)))

    @blueprint.errorhandler(UnknownSubject)
    def _unknown(error: UnknownSubject) -> Response:
        return as_response(problem(404, "unknown_subject", str(error)))

    @blueprint.errorhandler(UnknownRequest)
    def _no_request(error: UnknownRequest) -> Response:
        return as_response(problem(404, "unknown_request", str(error)))

    @blueprint.errorhandler(AmbiguousSubject)
    def _ambiguous(error: AmbiguousSubject) -> Response:
        return as_response(problem(409, "ambiguous_subject", str(error)))

    @blueprint.errorhandler(AlreadyErased)
    def _erased(error: AlreadyErased) -> Response:
        extra = {} if error.request is None else {"request": error.request.request_id.hex()}
        return as_response(problem(409, "already_erased", str(error), extra=extra))


def _read_order(bytes_max: int) -> _Order:
    try:
        return msgspec.json.decode(read_body(request.environ, bytes_max), type=_Order)
    except BodyRefused as refused:
        raise _Unusable(refused.detail) from None
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        raise _Unusable(_WANTED) from None


def _who(by: str, keys: Keys) -> str:
    """Who says to have entered it, and with which token."""
    token = read_authorization(request.headers.get("Authorization")).bearer
    grant = keys.find(token) if token is not None else None
    return " ".join(part for part in (by, f"({grant.key.id})" if grant is not None else "") if part)


def _find(office: Office, request_id: str) -> PrivacyRequest:
    try:
        return office.request(bytes.fromhex(request_id))
    except ValueError:
        raise UnknownRequest from None


def _answer(document: dict[str, Any]) -> Response:
    return as_response(Reply(200, to_json(document), _NO_STORE))
