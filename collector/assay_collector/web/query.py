"""The query API: where a message went, what is in quarantine, who qualifies and why. It needs an admin token."""

from collections.abc import Callable
from typing import Any

import msgspec
from flask import Blueprint, Response, request
from werkzeug.routing import BaseConverter

from assay.contract.times import format_instant
from assay_collector.store import Delivery, EventLog, Outbox, Quarantined, ReceiptLine
from assay_collector.web.auth import Keys, read_authorization
from assay_collector.web.bodies import BodyRefused, read_body
from assay_collector.web.problems import as_response, problem
from assay_collector.web.readmodels import Explainer
from assay_collector.web.replies import Reply, to_json
from assay_collector.web.services import Services, WebSettings

LIMIT_DEFAULT = 100
LIMIT_MAX = 500
RESEND_MAX = 1_000
OFFSET_MAX = 1_000_000_000
NEAR_LOOKED_AT = 500  # entities on one page of near misses
_NO_STORE = (("Cache-Control", "no-store"),)


class AnythingConverter(BaseConverter):
    """The rest of the path, slashes at either end included: ids are whatever a product made them."""

    regex = ".+"
    part_isolating = False


class _Unusable(Exception):
    """A parameter that cannot be used; the message is for the caller and quotes nothing."""


class _ResendOrder(msgspec.Struct, rename="camel"):
    message_ids: list[str]


def query_blueprint(services: Services, settings: WebSettings, keys: Keys) -> Blueprint:
    """The routes under /v1 that read, and the one that resends dead letters."""
    blueprint = Blueprint("query", __name__, url_prefix="/v1")

    @blueprint.before_request
    def _authorise() -> Response | None:
        return refuse_unless_admin(keys, request.headers.get("Authorization"))

    @blueprint.errorhandler(_Unusable)
    def _unusable(error: _Unusable) -> Response:
        return as_response(problem(400, "invalid_parameter", str(error)))

    _add_messages(blueprint, services.store.events)
    _add_verdicts(blueprint, services.explainer)
    _add_dead_letters(blueprint, services.store.outbox, services.now, settings.body_bytes_max)
    return blueprint


def _add_messages(blueprint: Blueprint, events: EventLog) -> None:
    @blueprint.get("/receipts/<anything:message_id>")
    def _receipts(message_id: str) -> Response:
        lines = events.receipts(message_id)
        if not lines:
            return as_response(problem(404, "unknown_message", "no message with this id was ever received"))
        return _answer({"messageId": message_id, "receipts": [_receipt(line) for line in lines]})

    @blueprint.get("/quarantine")
    def _quarantine() -> Response:
        limit = _limit()
        rows = events.quarantine(reason=request.args.get("reason"), limit=limit, before=_before())
        following = rows[-1].quarantine_id.hex() if len(rows) == limit else None
        with_raw = request.args.get("raw") == "true"
        return _answer({"quarantine": [_quarantined(row, with_raw) for row in rows], "next": following})

    @blueprint.get("/counts")
    def _counts() -> Response:
        counts = events.counts()
        return _answer(
            {
                "stored": counts.stored,
                "duplicates": counts.duplicates,
                "conflicts": counts.conflicts,
                "quarantined": dict(counts.quarantined),
                "refused": dict(counts.refused),
            }
        )


def _add_verdicts(blueprint: Blueprint, explainer: Explainer) -> None:
    @blueprint.get("/leads")
    def _leads() -> Response:
        if request.args.get("near") == "true":
            return _near(explainer)
        limit, offset = _limit(), _number("offset", 0, 0, OFFSET_MAX)
        leads = explainer.leads(request.args.get("definition"), limit, offset)
        return _answer({"leads": leads, "next": offset + limit if len(leads) == limit else None})

    @blueprint.get("/qualifications/<anything:entity>")
    def _qualifications(entity: str) -> Response:
        found = explainer.qualifications(_kind(), entity)
        if found is None:
            return as_response(problem(404, "unknown_entity", "nobody is known by this id"))
        return _answer(found)


def _near(explainer: Explainer) -> Response:
    found, last = explainer.near(request.args.get("definition"), _bytes("after"), NEAR_LOOKED_AT)
    found.sort(key=lambda each: -each["near"])
    return _answer({"near": found, "next": None if last is None else last.hex()})


def _add_dead_letters(blueprint: Blueprint, outbox: Outbox, now: Callable[[], int], body_bytes_max: int) -> None:
    @blueprint.get("/dead-letters")
    def _dead_letters() -> Response:
        letters = outbox.dead(endpoint=request.args.get("endpoint"), limit=_limit())
        return _answer({"deadLetters": [_dead_letter(letter) for letter in letters]})

    @blueprint.post("/dead-letters/resend")
    def _resend() -> Response:
        order = _read_order(body_bytes_max)
        return _answer({"resent": outbox.resend(order.message_ids, now())})


# --- who may ask, and what for ---


def refuse_unless_admin(keys: Keys, header: str | None) -> Response | None:
    """The answer to whoever brings no admin token; None: it may go on."""
    token = read_authorization(header).bearer
    grant = keys.find(token) if token is not None else None
    if grant is None:
        challenge = (("WWW-Authenticate", "Bearer"),)
        return as_response(problem(401, "unauthorized", "send an admin token: Authorization: Bearer ...", challenge))
    if grant.key.kind != "admin":
        return as_response(problem(403, "forbidden", "a write key cannot read; use an admin token"))
    return None


def _limit() -> int:
    return _number("limit", LIMIT_DEFAULT, 1, LIMIT_MAX)


def _number(name: str, default: int, least: int, most: int) -> int:
    text = request.args.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 12 and least <= int(text) <= most):
        raise _Unusable(f"{name} must be a whole number from {least} to {most}")
    return int(text)


def _before() -> bytes | None:
    return _bytes("before") or None


def _bytes(name: str) -> bytes:
    try:
        return bytes.fromhex(request.args.get(name, ""))
    except ValueError:
        raise _Unusable(f"{name} must be the `next` of the page before") from None


def _kind() -> str | None:
    kind = request.args.get("kind")
    if kind not in (None, "user", "account"):
        raise _Unusable("kind must be user or account")
    return kind


def _read_order(bytes_max: int) -> _ResendOrder:
    try:
        order = msgspec.json.decode(read_body(request.environ, bytes_max), type=_ResendOrder)
    except BodyRefused as refused:
        raise _Unusable(refused.detail) from None
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        raise _Unusable('send {"messageIds": ["...", ...]}') from None
    if len(order.message_ids) > RESEND_MAX:
        raise _Unusable(f"at most {RESEND_MAX} messageIds at a time")
    return order


# --- rows as JSON ---


def _answer(document: dict[str, Any]) -> Response:
    return as_response(Reply(200, to_json(document), _NO_STORE))


def _receipt(line: ReceiptLine) -> dict[str, Any]:
    return {
        "source": line.source,
        "messageId": line.message_id,
        "status": line.status,
        "receivedAt": format_instant(line.received_at),
        "timestamp": None if line.at is None else format_instant(line.at),
        "type": line.type,
        "name": line.name,
        "code": line.code,
        "pointer": line.pointer,
        "detail": line.detail,
    }


def _quarantined(row: Quarantined, with_raw: bool) -> dict[str, Any]:
    # What was sent may hold personal data, so it is shown only to who asks for it.
    raw = {"raw": row.raw.decode("utf-8", "replace")} if with_raw else {}
    return {
        "id": row.quarantine_id.hex(),
        "source": row.source,
        "messageId": row.message_id,
        "receivedAt": format_instant(row.received_at),
        "reason": row.reason,
        "pointer": row.pointer,
        "detail": row.detail,
        "type": row.type,
        "name": row.name,
        "schemaVersion": row.schema_version,
        "library": row.library,
        "libraryVersion": row.library_version,
        **raw,
    }


def _dead_letter(letter: Delivery) -> dict[str, Any]:
    message = letter.message
    return {
        "messageId": message.message_id,
        "endpoint": message.endpoint,
        "entity": message.entity.hex(),
        "type": message.type,
        "createdAt": format_instant(message.created_at),
        "attempts": letter.attempts,
        "lastError": letter.last_error,
    }
