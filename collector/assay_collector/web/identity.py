"""Who is who over HTTP. It needs an admin token, whose id is put on record with each word."""

from typing import Any

import msgspec
from flask import Blueprint, Response, request

from assay.contract.times import UnreadableTime, parse_instant
from assay_collector.qualify.identity_desk import (
    AmbiguousIdentifier,
    IdentityDesk,
    LinkRefused,
    NothingToUndo,
    Undo,
    UnknownIdentifier,
    Who,
)
from assay_collector.web.auth import Keys, read_authorization
from assay_collector.web.bodies import BodyRefused, read_body
from assay_collector.web.problems import as_response, problem
from assay_collector.web.query import refuse_unless_admin
from assay_collector.web.replies import Reply, to_json
from assay_collector.web.services import WebSettings

_NO_STORE = (("Cache-Control", "no-store"),)
_LINK_WANTED = 'send {"ids": ["user:ada", "anonymous:5f2c"]}, and perhaps rename, namespace, note and dryRun'
_UNDO_WANTED = 'send {"ids": [a, b]}, {"message": {"source", "messageId"}} or {"allOf": a}, and perhaps note and dryRun'


class _LinkOrder(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    ids: tuple[str, str]
    rename: bool = False
    namespace: str | None = None
    note: str = ""
    dry_run: bool = False


class _Message(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    source: str
    message_id: str


class _UndoOrder(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    ids: tuple[str, str] | None = None
    message: _Message | None = None
    all_of: str | None = None
    namespace: str | None = None
    note: str = ""
    dry_run: bool = False


class _Unusable(Exception):
    """What was sent cannot be used."""


def identity_blueprint(desk: IdentityDesk, settings: WebSettings, keys: Keys) -> Blueprint:
    """The routes under /v1/identity."""
    blueprint = Blueprint("identity", __name__, url_prefix="/v1/identity")

    @blueprint.before_request
    def _authorise() -> Response | None:
        return refuse_unless_admin(keys, request.headers.get("Authorization"))

    _add_errors(blueprint)
    _add_questions(blueprint, desk)
    _add_words(blueprint, desk, keys, settings.body_bytes_max)
    return blueprint


def _add_questions(blueprint: Blueprint, desk: IdentityDesk) -> None:
    @blueprint.get("/counts")
    def _counts() -> Response:
        return _answer({"refused": desk.counts()})

    @blueprint.get("/people/<anything:id>")
    def _show(id: str) -> Response:
        return _answer(desk.show(_who(id, request.args.get("namespace")), _instant()))

    @blueprint.get("/why")
    def _why() -> Response:
        ids = request.args.getlist("id")
        if len(ids) not in (1, 2):
            raise _Unusable("name one or two ids: ?id=user:ada&id=anonymous:5f2c")
        namespace = request.args.get("namespace")
        return _answer(desk.why(*(_who(id, namespace) for id in ids)))


def _add_words(blueprint: Blueprint, desk: IdentityDesk, keys: Keys, body_bytes_max: int) -> None:
    @blueprint.post("/links")
    def _link() -> Response:
        order = _read(_LinkOrder, body_bytes_max, _LINK_WANTED)
        one, other = (_who(id, order.namespace) for id in order.ids)
        actor = _actor(keys)
        return _answer(
            desk.link(one, other, actor=actor, note=order.note, is_rename=order.rename, dry_run=order.dry_run)
        )

    @blueprint.post("/undo")
    def _undo() -> Response:
        order = _read(_UndoOrder, body_bytes_max, _UNDO_WANTED)
        if [order.ids, order.message, order.all_of].count(None) != 2:
            raise _Unusable(_UNDO_WANTED)
        what = Undo(
            pair=None
            if order.ids is None
            else (_who(order.ids[0], order.namespace), _who(order.ids[1], order.namespace)),
            message=None if order.message is None else (order.message.source, order.message.message_id),
            everything_of=None if order.all_of is None else _who(order.all_of, order.namespace),
        )
        return _answer(desk.undo(what, actor=_actor(keys), note=order.note, dry_run=order.dry_run))


def _add_errors(blueprint: Blueprint) -> None:
    @blueprint.errorhandler(_Unusable)
    def _unusable(error: _Unusable) -> Response:
        return as_response(problem(400, "invalid_parameter", str(error)))

    @blueprint.errorhandler(UnknownIdentifier)
    def _unknown(_: UnknownIdentifier) -> Response:
        return as_response(problem(404, "unknown_identifier", "nobody was ever seen by this id"))

    @blueprint.errorhandler(AmbiguousIdentifier)
    def _ambiguous(_: AmbiguousIdentifier) -> Response:
        return as_response(problem(409, "ambiguous_identifier", "several ids have this value: name one as type:value"))

    @blueprint.errorhandler(NothingToUndo)
    def _nothing(_: NothingToUndo) -> Response:
        return as_response(problem(409, "nothing_to_undo", "no such link stands; /v1/identity/why tells what does"))

    @blueprint.errorhandler(LinkRefused)
    def _refused(_: LinkRefused) -> Response:
        return as_response(
            problem(409, "link_refused", "they are the same, lie in two namespaces, or are no users to be renamed")
        )


def _read(type: Any, bytes_max: int, wanted: str) -> Any:
    try:
        return msgspec.json.decode(read_body(request.environ, bytes_max), type=type)
    except BodyRefused as refused:
        raise _Unusable(refused.detail) from None
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        raise _Unusable(wanted) from None


def _who(text: str, namespace: str | None) -> Who:
    found = Who.parse(text)
    return Who(value=found.value, type=found.type, namespace=namespace)


def _instant() -> int | None:
    text = request.args.get("at")
    try:
        return None if text is None else parse_instant(text)
    except UnreadableTime:
        raise _Unusable("at must be an instant such as 2026-03-01T00:00:00Z") from None


def _actor(keys: Keys) -> str:
    token = read_authorization(request.headers.get("Authorization")).bearer
    grant = keys.find(token) if token is not None else None
    assert grant is not None, "asked before"
    return f"admin token {grant.key.id}"


def _answer(document: dict[str, Any]) -> Response:
    return as_response(Reply(200, to_json(document), _NO_STORE))
