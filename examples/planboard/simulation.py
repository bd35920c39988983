"""The whole simulated product, built from a seed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from random import Random

from examples.planboard.background import Background
from examples.planboard.faults import Faults, deliver_in_order, skew_clocks, spoil
from examples.planboard.messages import Diary, Message, write_instant
from examples.planboard.scenes import Plant, Stage, plant_all
from examples.planboard.truth import Courses, Entity, Truth, open_now, recount
from examples.planboard.world import SECOND, World

# 2026-03-31T00:00:00Z, so that tests are the same every day.
DEFAULT_NOW = int(datetime(2026, 3, 31, tzinfo=UTC).timestamp()) * SECOND
ACCOUNTS = 100  # ordinary ones, at scale 1
# The longest a request may take until a clock repaired by `sentAt` counts as repaired wrongly.
REQUEST_SECONDS_MAX = 10


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What must have become of everything sent: sent = stored + duplicates + all quarantined."""

    sent: int
    stored: int
    duplicates: int
    quarantined: Mapping[str, int]  # by reason


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """Everything that is sent, in the order of delivery, and everything that must come of it."""

    messages: Sequence[Message]
    # Every qualification, the ended ones too, and who is qualified now.
    courses: Courses
    truth: Truth
    # The same if every message whose clock needs repair was under way for the longest time allowed.
    truth_at_latest: Truth
    # Entities with a fate worked out by hand; a part of the truth.
    plants: Sequence[Plant]
    expected_counts: Counts

    def differences(self, found: Truth) -> list[str]:
        """
        Where what was found differs from the truth, one sentence each; empty: the truth was met.

        Args:
            found: Definition -> entity -> effective_at, as the collector has it now.
        """
        sentences: list[str] = []
        for definition, expected in self.truth.items():
            actual = found.get(definition, {})
            latest = self.truth_at_latest[definition]
            for entity in sorted(expected.keys() | actual.keys()):
                sentence = _difference(expected.get(entity), latest.get(entity), actual.get(entity))
                if sentence:
                    sentences.append(f"{definition}: {entity} {sentence}")
        return sentences


def build(
    seed: int = 7, scale: float = 1.0, now: int = DEFAULT_NOW, faults: Faults | None = None, as_of: int | None = None
) -> Simulation:
    """
    Simulate the product's last three months.

    Args:
        seed: The same arguments give the same simulation, to the byte.
        scale: 1 is about 8,000 messages. Every scene is played at least once, which takes some 5,000.
        now: Everything happens before this instant; microseconds since 1970. Not after the collector's clock.
        faults: What goes wrong; default: a little of everything.
        as_of: The moment at which the truth is asked for, as some qualifications end by themselves; default: `now`.
    """
    faults = faults or Faults()
    as_of = now if as_of is None else as_of

    def rng(purpose: str) -> Random:
        # One generator a purpose, so that turning one knob leaves everything else as it was.
        return Random(f"planboard {seed} {scale} {now} {purpose}")

    diary = Diary(rng("diary"))
    stage = Stage(World(seed, rng("world")), diary, rng("stage"), now)
    plants = [plant for _ in range(max(1, round(scale))) for plant in plant_all(stage)]
    _play_background(Background(stage, rng("background"), denied_share=faults.denied_consent), scale, faults)
    good = [message for message in diary.messages if message.bad is None]
    planted_bad = [message for message in diary.messages if message.bad is not None]
    good = skew_clocks(good, faults, rng("clocks"))
    everything = good + planted_bad + spoil(good, faults, rng("bad"))
    messages = deliver_in_order(everything, faults, rng("order"))
    courses = recount(messages, as_of)
    return Simulation(
        messages=messages,
        courses=courses,
        truth=open_now(courses),
        truth_at_latest=open_now(recount([_under_way(message) for message in messages], as_of)),
        plants=plants,
        expected_counts=_count(messages),
    )


def _play_background(background: Background, scale: float, faults: Faults) -> None:
    accounts = round(ACCOUNTS * scale)
    for _ in range(accounts):
        background.account()
    for _ in range(accounts // 4):
        background.visitor()
    for _ in range(accounts // 50):
        background.staff()
    for _ in range(round(accounts * faults.bots)):
        background.bot()


def _under_way(message: Message) -> Message:
    return replace(message, at=message.at + REQUEST_SECONDS_MAX * SECOND) if message.skew else message


def _count(messages: Sequence[Message]) -> Counts:
    good = [message.message_id for message in messages if message.bad is None]
    return Counts(
        sent=len(messages),
        stored=len(set(good)),
        duplicates=len(good) - len(set(good)),
        quarantined=dict(sorted(Counter(message.bad for message in messages if message.bad is not None).items())),
    )


def _difference(expected: int | None, latest: int | None, actual: int | None) -> str | None:
    if actual is None:
        return None if expected is None else f"should qualify at {write_instant(expected)} and does not"
    if expected is None:
        return f"should not qualify and does, at {write_instant(actual)}"
    if expected <= actual <= (expected if latest is None else latest):
        return None
    return f"should qualify at {write_instant(expected)} and does at {write_instant(actual)}"


__all__ = ["DEFAULT_NOW", "Counts", "Entity", "Faults", "Message", "Simulation", "build"]
