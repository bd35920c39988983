"""What goes wrong between a device and the collector. None of it may change who qualifies, or when."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from examples.planboard.messages import NOBODY, SCHEMA_VIOLATION, TOO_LARGE, UNPLANNED, Message, write_instant
from examples.planboard.world import HOUR, MINUTE

# More than any event may have.
OVERSIZE_CHARS = 33 * 1024


@dataclass(frozen=True, kw_only=True)
class Faults:
    """
    The knobs; each a share between 0 and 1. What the planted scenes need happens whatever they say.

    `bots` and `denied_consent` change who there is and what they want; the others only what is sent, and how.
    """

    # Good messages delivered again, some time later.
    duplicates: float = 0.03
    # Messages held back until all others are delivered.
    lateness: float = 0.02
    # How far a message may move in the order of delivery, as a share of all; 1: any order at all.
    disorder: float = 0.05
    # Messages from devices whose clock is hours off.
    clock_skew: float = 0.01
    # Bot accounts, as a share of ordinary ones.
    bots: float = 0.05
    # Bad messages, as a share of the good ones, beside them.
    bad_events: float = 0.01
    # Members who never agree to scoring.
    denied_consent: float = 0.08

    @classmethod
    def none(cls) -> "Faults":
        """Only what is planted."""
        return cls(duplicates=0, lateness=0, disorder=0, clock_skew=0, bots=0, bad_events=0, denied_consent=0)

    @classmethod
    def every(cls) -> "Faults":
        """Every knob well up, and any order at all."""
        return cls(
            duplicates=0.2, lateness=0.1, disorder=1, clock_skew=0.1, bots=0.2, bad_events=0.05, denied_consent=0.2
        )


def spoil(good: Sequence[Message], faults: Faults, rng: Random) -> list[Message]:
    """Bad messages made of good ones: each with an id of its own, and one thing wrong."""
    return [_SPOILERS[i % len(_SPOILERS)](rng.choice(good), rng) for i in range(round(faults.bad_events * len(good)))]


def skew_clocks(messages: Iterable[Message], faults: Faults, rng: Random) -> list[Message]:
    """
    The same messages, some of them from devices whose clock is off.

    `timestamp` is then wrong by hours. Whoever delivers the message must add a `sentAt` that is wrong by as much, which
    lets the collector put it right, up to the time the request takes. Messages on the edge of a window are spared
    because of that, and those sent twice, because their copies would differ.
    """
    return [
        _skewed(m, rng) if not (m.exact or m.twice or m.bad) and rng.random() < faults.clock_skew else m
        for m in messages
    ]


def deliver_in_order(messages: Sequence[Message], faults: Faults, rng: Random) -> list[Message]:
    """The order in which everything arrives, with some of it arriving twice."""
    ordered = sorted(messages, key=lambda m: m.at)
    reach = faults.disorder * len(ordered)
    slots: list[tuple[float, int, Message]] = []
    end = 2.0 * len(ordered)  # where what is late begins
    for position, message in enumerate(ordered):
        slot = rng.random() * len(ordered) if faults.disorder >= 1 else position + rng.random() * reach
        if message.late or rng.random() < faults.lateness:
            slot = end + rng.random()
        slots.append((slot, len(slots), message))
        may_repeat = message.bad is None and not message.skew
        if may_repeat and (message.twice or rng.random() < faults.duplicates):
            # Right behind it in the same batch, or much later.
            slots.append((slot + rng.choice([0, 1, rng.random() * len(ordered)]), len(slots), message))
    return [message for _, _, message in sorted(slots, key=lambda entry: entry[:2])]


def _skewed(message: Message, rng: Random) -> Message:
    skew = rng.choice([-1, 1]) * rng.randrange(30 * MINUTE, 12 * HOUR, MINUTE)
    body = {**message.body, "timestamp": write_instant(message.at + skew)}
    return replace(message, body=body, via="raw", skew=skew)


def _bad(message: Message, rng: Random, reason: str, **changes: Any) -> Message:
    body = {**message.body, "messageId": f"pb-bad-{rng.getrandbits(96):024x}", **changes}
    body = {key: value for key, value in body.items() if value is not None}
    return replace(message, body=body, via="raw", bad=reason, exact=False, late=False, twice=False)


def _fails_the_plan(message: Message, rng: Random) -> Message:
    broken = rng.choice(
        [
            ("Task Assigned", {"task_id": "tsk-1"}),  # an assignee is missing
            ("Message Sent", {"sender_kind": "hooman"}),  # not one of the values
            ("Trial Started", {"plan": "team", "days": "fourteen"}),  # wrong type
            ("Project Created", {"project_id": "prj-1", "projct_template": "kanban"}),  # not planned
        ]
    )
    track = {"type": "track", "event": broken[0], "properties": broken[1]}
    return _bad(message, rng, SCHEMA_VIOLATION, **track, traits=None, groupId=None, name=None)


def _unplanned(message: Message, rng: Random) -> Message:
    name = rng.choice(["project created", "Task Asigned", "test event", "Button Clicked"])
    return _bad(message, rng, UNPLANNED, type="track", event=name, properties={}, traits=None, groupId=None)


def _nobody(message: Message, rng: Random) -> Message:
    return _bad(message, rng, NOBODY, userId=None, anonymousId=None)


def _too_large(message: Message, rng: Random) -> Message:
    note = {"task_id": "tsk-1", "assignee_id": "x" * OVERSIZE_CHARS}
    track = {"type": "track", "event": "Task Assigned", "properties": note}
    return _bad(message, rng, TOO_LARGE, **track, traits=None, groupId=None, name=None)


_SPOILERS = (_fails_the_plan, _unplanned, _nobody, _too_large, _fails_the_plan, _unplanned)
