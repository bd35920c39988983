"""
Recorded tracking messages against a tracking plan.

Messages come as NDJSON in Segment's shape: one message, one batch, or one array of messages a line. Reading is lenient,
for a recording is what clients really sent; a bad line or message never costs its neighbours.
"""

import gzip
import io
import json
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, field
from typing import IO, Any, cast

import msgspec

from assay.contract.display import kind_of, pointer, shorten, show, visible
from assay.contract.plan import Outcome, Plan
from assay.contract.violations import Violation

TYPES = ("track", "identify", "group", "page", "screen", "alias")
# The largest batch that real clients send is 4 MB; a longer line is no batch, and must not fill the memory.
LINE_BYTES_MAX = 16 * 1024 * 1024
# So many names of unplanned events are told apart; a recording with ever new names must not fill the memory either.
UNPLANNED_NAMES_MAX = 1_000

_GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A rule that a recorded message breaks, and where."""

    file: str
    # From 1.
    line: int
    # JSON pointer into the line.
    pointer: str
    rule: str
    expected: str
    message: str
    # The message's type and name as far as they could be read, and the version it was judged by.
    type: str | None = None
    event: str | None = None
    version: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Write it as a JSON object."""
        return {"kind": "violation", **asdict(self)}


@dataclass(slots=True)
class Tally:
    """What has been counted so far."""

    lines: int = 0
    # Lines of which no message could be read.
    unreadable: int = 0
    events: int = 0
    valid: int = 0
    invalid: int = 0
    unplanned: int = 0
    # Left out by their type.
    skipped: int = 0
    by_rule: Counter[str] = field(default_factory=Counter)
    unplanned_events: Counter[str] = field(default_factory=Counter)

    def to_json(self) -> dict[str, Any]:
        """Write it as a JSON object."""
        counters = {"by_rule": dict(self.by_rule), "unplanned_events": dict(self.unplanned_events)}
        counts = {name: getattr(self, name) for name in self.__slots__ if name not in counters}
        return {"kind": "summary", **counts, **counters}


@dataclass(slots=True, kw_only=True)
class Checker:
    """Checks recordings one after the other, in constant memory, and keeps the tally."""

    plan: Plan
    # Messages of other types are left out; empty means all.
    types: Collection[str] = ()
    # Events that the plan does not have: counted only, or a finding each.
    unplanned_is_finding: bool = True
    tally: Tally = field(default_factory=Tally)

    def check(self, file: str, stream: IO[bytes]) -> Iterator[Finding]:
        """
        Yield what is wrong in one recording, plain or gzipped.

        Raises:
            OSError, EOFError, zlib.error: The recording cannot be read to its end.
        """
        for line, data in read_lines(unzip(stream)):
            self.tally.lines += 1
            for finding in self._check_line(file, line, data):
                self.tally.by_rule[finding.rule] += 1
                yield finding

    def _check_line(self, file: str, line: int, data: bytes | None) -> Iterator[Finding]:
        try:
            messages = read_messages(data)
        except UnreadableLine as slip:
            self.tally.unreadable += 1
            yield Finding(file=file, line=line, pointer="", rule="json", expected="JSON", message=str(slip))
            return
        for at, message, context in messages:
            yield from self._check_message(file, line, at, message, context)

    def _check_message(self, file: str, line: int, at: str, message: Any, context: Any) -> Iterator[Finding]:
        read = read_message(message, context)
        if self.types and isinstance(read, Message) and read.type not in self.types:
            self.tally.skipped += 1
            return
        self.tally.events += 1
        if isinstance(read, Violation):
            self.tally.invalid += 1
            yield Finding(file=file, line=line, **_within(at, read))
            return
        outcome, violations = judge(self.plan, read)
        self._count(outcome, read)
        if outcome is Outcome.UNPLANNED and not self.unplanned_is_finding:
            return
        about = _about(self.plan, read) if violations else {}
        for violation in violations:
            yield Finding(file=file, line=line, **_within(at, violation), **about)

    def _count(self, outcome: Outcome, message: "Message") -> None:
        if outcome is Outcome.VALID:
            self.tally.valid += 1
        elif outcome is Outcome.UNPLANNED:
            self.tally.unplanned += 1
            names = self.tally.unplanned_events
            name = _title(message)
            names[name if name in names or len(names) < UNPLANNED_NAMES_MAX else "(other names)"] += 1
        else:
            self.tally.invalid += 1


# -- lines -------------------------------------------------------------------------------------------------------------


class UnreadableLine(ValueError):
    """A line that holds no message; the text says why."""


def unzip(stream: IO[bytes]) -> IO[bytes]:
    """Return the stream's plain bytes, whether or not it is gzipped."""
    peekable = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(cast(io.RawIOBase, stream))
    if peekable.peek(2)[:2] != _GZIP_MAGIC:
        return peekable
    return io.BufferedReader(gzip.GzipFile(fileobj=peekable))


def read_lines(stream: IO[bytes]) -> Iterator[tuple[int, bytes | None]]:
    """Yield the lines that are not blank, with their numbers from 1; None stands for one that is too long."""
    number = 0
    while data := stream.readline(LINE_BYTES_MAX + 1):
        number += 1
        if len(data) > LINE_BYTES_MAX:
            while data and not data.endswith(b"\n"):
                data = stream.readline(1 << 16)
            yield number, None
        elif data.strip():
            yield number, data


def read_messages(data: bytes | None) -> list[tuple[str, Any, Any]]:
    """
    Read a line's messages.

    Returns:
        For each its JSON pointer in the line, itself, and the context of its batch.

    Raises:
        UnreadableLine: The line is not JSON, or too long.
    """
    if data is None:
        raise UnreadableLine(f"the line is longer than {LINE_BYTES_MAX // 1024 // 1024} MiB")
    value = _decode(data)
    if isinstance(value, dict) and isinstance(value.get("batch"), list):
        context = value.get("context")
        return [(pointer("batch", index), item, context) for index, item in enumerate(value["batch"])]
    if isinstance(value, list):
        return [(pointer(index), item, None) for index, item in enumerate(value)]
    return [("", value, None)]


def _decode(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # NaN, lone surrogates and a byte order mark are not JSON, but clients do send them; json reads them.
        return _decode_leniently(data)


def _decode_leniently(data: bytes) -> Any:
    try:
        return json.loads(data.decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        raise UnreadableLine(f"not JSON: {error.msg} at column {error.colno}") from None
    except UnicodeDecodeError as error:
        raise UnreadableLine(f"not UTF-8: {error.reason} at byte {error.start}") from None
    except RecursionError:
        raise UnreadableLine("nested too deeply") from None
    except ValueError:
        # int() refuses more than 4,300 digits.
        raise UnreadableLine("a number with too many digits") from None


# -- messages ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Message:
    """What the plan judges of a tracking message."""

    type: str
    name: str | None
    # Where the properties or traits stand in the message, and what they are.
    at: str
    properties: dict[str, Any]
    version: str | None


def read_message(message: Any, batch_context: Any = None) -> Message | Violation:
    """Read what the plan judges, or say why the message has no place in any plan."""
    if not isinstance(message, dict):
        return _wrong("", "an object", message)
    kind = message.get("type")
    if kind not in TYPES:
        return Violation("/type", "enum", ", ".join(TYPES), f"must be one of {', '.join(TYPES)}, not {show(kind)}")
    name = message.get("event" if kind == "track" else "name")
    if kind == "track" and (not isinstance(name, str) or not name):
        return _wrong("/event", "the event's name", name)
    at, properties = _payload(message, kind)
    if not isinstance(properties, dict):
        return _wrong(at, "an object", properties)
    version = _version(message.get("context"), batch_context)
    if version is not None and not isinstance(version, str):
        return _wrong("/context/schemaVersion", "a text such as 1-0-0", version)
    return Message(kind, name if isinstance(name, str) and name else None, at, properties, version)


def judge(plan: Plan, message: Message) -> tuple[Outcome, list[Violation]]:
    """Judge a message by the plan; pointers in the violations are into the whole message."""
    arguments = (message.type, message.name, message.properties, message.version)
    outcome = plan.verdict(*arguments).outcome
    if outcome is Outcome.VALID:
        return outcome, []
    # The name or the version is at fault, not the properties.
    at = {
        Outcome.UNPLANNED: "/event" if message.type == "track" else "",
        Outcome.UNKNOWN_VERSION: "/context/schemaVersion",
    }.get(outcome, message.at)
    return outcome, [_moved(at, violation) for violation in plan.explain(*arguments)]


def _payload(message: dict[str, Any], kind: str) -> tuple[str, Any]:
    if kind not in ("identify", "group"):
        return "/properties", _or_empty(message.get("properties"))
    context = message.get("context")
    if message.get("traits") is None and isinstance(context, dict) and context.get("traits") is not None:
        return "/context/traits", context["traits"]
    return "/traits", _or_empty(message.get("traits"))


def _or_empty(value: Any) -> Any:
    # Clients send null for "none".
    return {} if value is None else value


def _version(context: Any, batch_context: Any) -> Any:
    for source in (context, batch_context):
        if isinstance(source, dict) and source.get("schemaVersion") is not None:
            return source["schemaVersion"]
    return None


def _wrong(at: str, expected: str, value: Any) -> Violation:
    return Violation(at, "type", expected, f"must be {expected}, not {kind_of(value)}")


def _moved(at: str, violation: Violation) -> Violation:
    return Violation(at + violation.pointer, violation.rule, violation.expected, violation.message)


def _within(at: str, violation: Violation) -> dict[str, str]:
    return _moved(at, violation).to_json()


def _about(plan: Plan, message: Message) -> dict[str, Any]:
    schema = plan.find(message.type, message.name, message.version)
    name = None if message.name is None else visible(shorten(message.name, 100))
    return {"type": message.type, "event": name, "version": str(schema.version) if schema else None}


def _title(message: Message) -> str:
    return visible(message.type + (f" {shorten(message.name, 100)}" if message.name else ""))
