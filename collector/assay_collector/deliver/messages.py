"""What a transition says to the world: one webhook message for each endpoint. Pure."""

import hashlib
from collections.abc import Sequence

import msgspec

from assay.contract.times import HOUR, format_instant
from assay_collector.deliver.endpoints import Endpoint
from assay_collector.store import SHADOW, OutboxMessage, Transition

# "held" is a lead in waiting: whether it becomes one is news, that it waits is not.
_SILENT_STEPS = frozenset({"held"})


class _Entity(msgspec.Struct, frozen=True, rename="camel"):
    kind: str
    id: str
    external_id: str | None


class _Data(msgspec.Struct, frozen=True, rename="camel"):
    definition: str
    version: int
    entity: _Entity
    episode: int
    step: str
    revision: int
    change: str
    effective_at: str
    recorded_at: str
    cause: str
    evidence: msgspec.Raw


class _Payload(msgspec.Struct, frozen=True):
    type: str
    timestamp: str
    data: _Data


def webhook_messages(
    transition: Transition, *, external_id: str | None, endpoints: Sequence[Endpoint], now: int
) -> tuple[OutboxMessage, ...]:
    """
    The messages by which a transition is announced, one for each endpoint.

    The same transition gives the same ids and bodies whenever it is asked for. None announces a `held` step, what a
    change of a definition brought, what a shadow says, or as news what took effect longer before it was known than the
    endpoint allows.

    Args:
        external_id: The person's or account's id as the product knows it, where that is known.
        now: When the messages are created; it is not part of them.
    """
    type_ = message_type(transition)
    if type_ is None or not endpoints:
        return ()
    body = _body(transition, type_, external_id)
    return tuple(
        OutboxMessage(
            message_id=message_id(endpoint.name, transition),
            endpoint=endpoint.name,
            entity=transition.entity,
            type=type_,
            body=body,
            created_at=now,
        )
        for endpoint in endpoints
        if _is_timely(transition, endpoint)
    )


def _is_timely(transition: Transition, endpoint: Endpoint) -> bool:
    """What was announced once must be revised at any age; but a lead of last month is no alert."""
    age = transition.recorded_at - transition.effective_at
    return transition.change != "new" or age <= endpoint.news_age_hours_max * HOUR


def message_type(transition: Transition) -> str | None:
    """
    How a transition is called outside: ``pql.qualified``, ``pql.exited``, ..., by its step; ``pql.corrected`` or
    ``pql.retracted`` where it revises what was said before. None: it is not announced.
    """
    if transition.step in _SILENT_STEPS or transition.cause == "definition" or transition.definition.startswith(SHADOW):
        return None
    # A step may carry a name, as in `stage:activated`.
    step = transition.step.partition(":")[0]
    return f"pql.{step if transition.change == 'new' else transition.change}"


def message_id(endpoint: str, transition: Transition) -> str:
    """
    The idempotency key: derived from what makes a transition one of a kind, so that it is never announced under two.
    """
    identity = (
        endpoint,
        transition.definition,
        transition.entity.hex(),
        transition.episode,
        transition.step,
        transition.revision,
    )
    # JSON keeps the parts apart, whatever they hold.
    return "msg_" + hashlib.sha256(msgspec.json.encode(identity)).hexdigest()[:32]


def _body(transition: Transition, type_: str, external_id: str | None) -> bytes:
    recorded_at = format_instant(transition.recorded_at)
    data = _Data(
        definition=transition.definition,
        version=transition.definition_version,
        entity=_Entity(transition.kind, transition.entity.hex(), external_id),
        episode=transition.episode,
        step=transition.step,
        revision=transition.revision,
        change=transition.change,
        effective_at=format_instant(transition.effective_at),
        recorded_at=recorded_at,
        cause=transition.cause,
        evidence=msgspec.Raw(transition.evidence),
    )
    return msgspec.json.encode(_Payload(type_, recorded_at, data))
