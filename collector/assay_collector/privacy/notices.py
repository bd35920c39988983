"""What recipients are told of an erasure: one signed webhook to each, about each id it ever heard of. Pure."""

import hashlib
from collections.abc import Sequence

import msgspec

from assay.contract.times import format_instant
from assay_collector.store import OutboxMessage, Told

TYPE = "privacy.erased"


def notices(request_id: bytes, told: Sequence[Told], now: int) -> tuple[OutboxMessage, ...]:
    """
    The messages, by the id that the recipient was told before; it may know the person by nothing else.

    The raw id leaves the outbox with the message: the body is blanked when it is delivered, and loses the id when it
    is given up.
    """
    return tuple(_notice(request_id, each, now) for each in told)


def _notice(request_id: bytes, told: Told, now: int) -> OutboxMessage:
    entity = {"kind": "user", "id": told.entity.hex(), "externalId": told.external_id}
    body = {
        "type": TYPE,
        "timestamp": format_instant(now),
        "data": {"request": request_id.hex(), "entity": entity},
    }
    key = msgspec.json.encode((told.endpoint, TYPE, request_id.hex(), told.entity.hex()))
    return OutboxMessage(
        message_id="msg_" + hashlib.sha256(key).hexdigest()[:32],
        endpoint=told.endpoint,
        entity=told.entity,
        type=TYPE,
        body=msgspec.json.encode(body),
        created_at=now,
    )
