"""The settings of a client: what they may be, and what is made of them."""

import os
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, get_args

from assay.buffer import WhenFull
from assay.calls import EVENT_BYTES_MAX
from assay.delivery import BATCH_BYTES_MAX, BATCH_EVENTS_MAX, SPOOL_BYTES_MIN, SpoolSync
from assay.errors import InvalidSetting
from assay.inspection import OnInvalid

if TYPE_CHECKING:
    from pathlib import Path

    from assay.contract.plan import Plan
    from assay.scrubbing import Scrubber, ScrubRule
    from assay.spool import Spool

_CHOICES: dict[str, tuple[str, ...]] = {
    "on_invalid": get_args(OnInvalid),
    "when_full": get_args(WhenFull),
    "spool_sync": get_args(SpoolSync),
}
_RANGES: dict[str, tuple[float, float]] = {
    "queue_events_max": (1, float("inf")),
    "batch_events_max": (1, BATCH_EVENTS_MAX),
    # One event of the largest size must fit.
    "batch_bytes_max": (EVENT_BYTES_MAX + 100, BATCH_BYTES_MAX),
    "block_seconds": (0, threading.TIMEOUT_MAX),
    "linger_seconds": (0, 3600),
    "timeout_seconds": (0.001, 3600),
    "retry_seconds_max": (0, float("inf")),
    "exit_seconds": (0, 3600),
    "spool_bytes_max": (SPOOL_BYTES_MIN, float("inf")),
    "spool_seconds_max": (1, float("inf")),
    "breaker_failures": (1, float("inf")),
    "breaker_seconds": (0, 60),
}
_SCRUB_KEY_BYTES_MIN = 16
FOLLOW_SECONDS_MIN = 0.1


def check(settings: Mapping[str, Any]) -> None:
    """Raises: InvalidSetting: By its name, and without what may be secret."""
    write_key = settings["write_key"]
    if not isinstance(write_key, str) or not write_key or not write_key.isprintable():
        raise InvalidSetting("write_key", "must be the source's key, a text that is not empty")
    for name, allowed in _CHOICES.items():
        if settings[name] not in allowed:
            raise InvalidSetting(name, f"must be one of {', '.join(allowed)}; got {settings[name]!r}")
    for name, (lowest, highest) in _RANGES.items():
        if not lowest <= settings[name] <= highest:
            raise InvalidSetting(name, f"must lie between {lowest:g} and {highest:g}; got {settings[name]!r}")
    follow_seconds = settings["follow_plan_seconds"]
    if follow_seconds is not None and not follow_seconds >= FOLLOW_SECONDS_MIN:
        raise InvalidSetting("follow_plan_seconds", f"must be at least {FOLLOW_SECONDS_MIN:g}; got {follow_seconds!r}")
    if settings["before_send"] is not None and not callable(settings["before_send"]):
        raise InvalidSetting("before_send", "must be a function of an event")


def loaded_plan(plan: "Plan | Path | str | None") -> "Plan | None":
    """A plan, read from its folder if need be."""
    if not isinstance(plan, str | os.PathLike):
        return plan
    from pathlib import Path

    from assay.plans import load_plan  # late: most clients have no plan, and its validators are slow to import

    return load_plan(Path(plan))


def scrubber(
    plan: "Plan | None", rules: "Mapping[str, ScrubRule] | None", key: bytes | str | None
) -> "Scrubber | None":
    """What scrubs by these rules. Raises: InvalidSetting."""
    if not rules:
        return None
    from assay.contract.personal import PII_CLASSES
    from assay.scrubbing import Scrubber

    if plan is None:
        raise InvalidSetting("scrub", "needs a plan, which says what is personal data")
    for kind, rule in rules.items():
        if kind not in PII_CLASSES:
            raise InvalidSetting("scrub", f"knows the classes {', '.join(PII_CLASSES)}; got {kind!r}")
        if rule not in ("hash", "drop") and not callable(rule):
            raise InvalidSetting("scrub", f"must say hash, drop or a function for {kind!r}")
    secret = key.encode() if isinstance(key, str) else key or b""
    if "hash" in rules.values() and len(secret) < _SCRUB_KEY_BYTES_MIN:
        raise InvalidSetting("scrub_key", f"must have at least {_SCRUB_KEY_BYTES_MIN} bytes, to hash with")
    return Scrubber(plan, rules, secret)


def spool_maker(
    write_key: str,
    folder: "Path | str | None",
    bytes_max: int,
    seconds_max: float,
    sync: SpoolSync,
    *,
    memory_events_max: int,
) -> "Callable[[], Spool] | None":
    """What makes the client's spool, anew in each process; None: there is none. Raises: InvalidSetting."""
    if folder is None:
        return None
    from hashlib import blake2b  # late, as the spool itself: most clients have none
    from pathlib import Path

    from assay.spool import IS_SUPPORTED, Spool

    path = Path(folder).absolute()
    if not IS_SUPPORTED:
        raise InvalidSetting("spool", "needs a POSIX system, for its locks")
    if path.exists() and not path.is_dir():
        raise InvalidSetting("spool", f"must be a folder; {path} is a file")
    # By the key, so that what waited for a collector goes with it when it moves to another address.
    destination = blake2b(write_key.encode(), digest_size=6, person=b"assay.spool").hexdigest()
    return partial(
        Spool,
        path,
        destination,
        bytes_max=bytes_max,
        seconds_max=seconds_max,
        sync=sync,
        memory_events_max=memory_events_max,
    )
