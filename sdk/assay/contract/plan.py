"""
The tracking plan: which events there are, in which versions, and what each may look like.

A plan is built from documents in memory and never changes, so any number of threads can share it. Its folder:

    plan.json                               {"name": "...", "description": "...", "owner": "..."}
    events/<slug>/<MODEL-REVISION-ADDITION>.json   one JSON Schema (2020-12) per event and version
    types/<name>.json                       shared types, reached by {"$ref": "types/<name>.json"}
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from hashlib import blake2b
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from assay.contract.display import shorten, visible
from assay.contract.errors import AssayError
from assay.contract.personal import PII_CLASSES
from assay.contract.plan_checks import CheckedPlan, PlanError, PlanProblem, check_documents
from assay.contract.plan_event import NAMED_TYPES, PURPOSES, VERSION_PATTERN
from assay.contract.subschemas import Schema
from assay.contract.times import parse_instant
from assay.contract.validation import EventValidator
from assay.contract.violations import Violation

__all__ = [
    "PII_CLASSES",
    "PURPOSES",
    "BadVersion",
    "EventSchema",
    "Outcome",
    "Plan",
    "PlanError",
    "PlanProblem",
    "SchemaVer",
    "Verdict",
]

_VERSION = re.compile(VERSION_PATTERN.replace("$", r"\Z"))


@dataclass(eq=False)
class BadVersion(AssayError):
    """A text that is no version of a schema."""

    text: str

    def __str__(self) -> str:
        return (
            f"{visible(shorten(self.text))!r} is no schema version; "
            "write MODEL-REVISION-ADDITION, such as 1-0-0, with MODEL at least 1"
        )


class SchemaVer(NamedTuple):
    """
    A version of a schema; versions are ordered as one would expect.

    Source: Snowplow's SchemaVer, as in Iglu.
    """

    # Raised when events of the old shape no longer fit.
    model: int
    # Raised when some events of the old shape may no longer fit.
    revision: int
    # Raised when every event of the old shape still fits.
    addition: int

    @classmethod
    def parse(cls, text: str) -> "SchemaVer":
        """
        Read ``MODEL-REVISION-ADDITION``.

        Raises:
            BadVersion: The text is not of that form.
        """
        if not _VERSION.match(text):
            raise BadVersion(text)
        return cls(*map(int, text.split("-")))

    def __str__(self) -> str:
        return f"{self.model}-{self.revision}-{self.addition}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EventSchema:
    """One version of one event of the plan."""

    type: str
    # None for identify and group, and for a page or screen of any name.
    event: str | None
    version: SchemaVer
    # "" if the plan names none; lint asks for both.
    owner: str
    description: str
    purposes: frozenset[str]
    # Microseconds since the Unix epoch; None while in use.
    deprecated_at: int | None
    # Relative to the plan's root.
    file: str
    # The JSON Schema of the properties or traits, as written; not to be changed.
    document: Mapping[str, Any]
    # Where personal data lies: JSON pointer (`*` for any property or item) -> class.
    pii: Mapping[str, str]

    @classmethod
    def _from_document(cls, file: str, document: Schema, pii: Mapping[str, str]) -> "EventSchema":
        block = document["x-assay"]
        deprecated_at = block.get("deprecated_at")
        return cls(
            type=block["type"],
            event=block.get("event"),
            version=SchemaVer.parse(block["version"]),
            owner=block.get("owner", ""),
            description=block.get("description", ""),
            purposes=frozenset(block["purposes"]),
            deprecated_at=None if deprecated_at is None else parse_instant(deprecated_at),
            file=file,
            document=MappingProxyType(document),
            pii=MappingProxyType(dict(pii)),
        )


class Outcome(Enum):
    """What the plan says of an event."""

    VALID = "valid"
    INVALID = "invalid"
    # The plan has no such event.
    UNPLANNED = "unplanned"
    # The plan has the event, but not in the version that it names.
    UNKNOWN_VERSION = "unknown_version"


@dataclass(frozen=True, slots=True)
class Verdict:
    """An outcome, and the schema it was reached by. The plan makes them once and hands out the same ones."""

    outcome: Outcome
    # None if the event is unplanned; the newest one if the version is unknown.
    schema: EventSchema | None

    @property
    def is_valid(self) -> bool:
        """Whether the event fits the plan."""
        return self.outcome is Outcome.VALID


_UNPLANNED: Final = Verdict(Outcome.UNPLANNED, None)
# An alias has neither properties nor traits, so there is nothing to plan.
_ALIAS: Final = Verdict(Outcome.VALID, None)


@dataclass(frozen=True, slots=True)
class _Entry:
    """An event and version, ready for the hot path."""

    # The validator's own, bound here: the hot path pays for no second look-up.
    is_valid: Callable[[object], bool]
    validator: EventValidator
    valid: Verdict
    invalid: Verdict


class Plan:
    """A tracking plan that has passed all checks. Immutable, and safe to share between threads."""

    def __init__(self, checked: CheckedPlan) -> None:
        """Take documents without problems; use ``Plan.from_documents``."""
        about = checked.documents["plan.json"]
        self.name: Final[str] = about["name"]
        self.description: Final[str] = about.get("description", "")
        self.owner: Final[str] = about.get("owner", "")
        # Canonical JSON of every file, by path: the same plan, ready to be served or stored.
        self.documents: Final[Mapping[str, bytes]] = MappingProxyType(
            {file: _canonical(checked.documents[file]) for file in sorted(checked.documents)}
        )
        self.revision: Final[str] = _revision(self.documents)
        schemas = [
            EventSchema._from_document(file, checked.documents[file], checked.personal[file].templates())
            for file in checked.validators
        ]
        # (type, name or None) -> versions, ascending.
        self.schemas: Final[Mapping[tuple[str, str | None], tuple[EventSchema, ...]]] = _by_event(schemas)
        self._entries: Final[dict[tuple[str, str | None, str | None], _Entry]] = {}
        for (type_, name), versions in self.schemas.items():
            entries = {str(schema.version): _entry(schema, checked.validators[schema.file]) for schema in versions}
            self._entries.update({(type_, name, version): entry for version, entry in entries.items()})
            self._entries[type_, name, None] = entries[str(versions[-1].version)]
        self._unknown_version: Final = {
            event: Verdict(Outcome.UNKNOWN_VERSION, versions[-1]) for event, versions in self.schemas.items()
        }

    @classmethod
    def from_documents(cls, documents: Mapping[str, bytes]) -> "Plan":
        """
        Build a plan from the bytes of its files.

        Args:
            documents: Path relative to the plan's root, with ``/`` -> content.

        Raises:
            PlanError: With everything that is wrong, by file and JSON pointer.
        """
        checked = check_documents(documents)
        if checked.problems:
            raise PlanError(checked.problems)
        return cls(checked)

    def verdict(self, type: str, name: str | None, properties: object, version: str | None = None) -> Verdict:
        """
        Judge an event. Never raises, whatever the properties are.

        Args:
            type: track, identify, group, page, screen or alias.
            name: The event's, page's or screen's name; of no account for identify and group.
            properties: The properties, or the traits of identify and group, as read from JSON.
            version: What ``context.schemaVersion`` says; None means the newest.

        Returns:
            One of a few verdicts made beforehand. NaN and infinity are of no JSON type; text that UTF-8 cannot carry
            and what is no JSON at all make an event invalid where a rule looks at them.
        """
        entry = self._entries.get((type, name, version))
        if entry is None:
            entry, missed = self._find(type, name, version)
            if entry is None:
                return missed
        try:
            return entry.valid if entry.is_valid(properties) else entry.invalid
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # noqa: BLE001 - a panic in the library derives from BaseException
            return entry.invalid

    def explain(
        self,
        type: str,
        name: str | None,
        properties: object,
        version: str | None = None,
    ) -> tuple[Violation, ...]:
        """
        Say why ``verdict`` is not VALID; the arguments are the same.

        Returns:
            No violation if the event is valid, else at least one. Values that the plan marks as personal data, and
            values of properties it does not know, are never shown.
        """
        entry, missed = self._find(type, name, version)
        if entry is not None:
            return entry.validator.explain(properties)
        match missed.outcome:
            case Outcome.VALID:
                return ()
            case Outcome.UNKNOWN_VERSION:
                return (self._explain_version(type, name, version),)
        return (self._explain_unplanned(type, name),)

    def find(self, type: str, name: str | None, version: str | None = None) -> EventSchema | None:
        """Return the schema that ``verdict`` would judge by, or None if the event or its version is not planned."""
        entry, _ = self._find(type, name, version)
        return entry.valid.schema if entry else None

    def pii_of(self, type: str, name: str | None, version: str | None = None) -> Mapping[str, str]:
        """
        Say where an event carries personal data.

        Returns:
            JSON pointer into the properties or traits, with ``*`` for any property or item -> class of personal data.
        """
        schema = self.find(type, name, version)
        return schema.pii if schema else {}

    def _find(self, type_: str, name: str | None, version: str | None) -> tuple[_Entry | None, Verdict]:
        """Look an event up by the rules for names: identify and group have none, a page may be any page."""
        if type_ == "alias":
            return None, _ALIAS
        event = self._planned(type_, name)
        if event is None:
            return None, _UNPLANNED
        return self._entries.get((*event, version)), self._unknown_version[event]

    def _planned(self, type_: str, name: str | None) -> tuple[str, str | None] | None:
        if (type_, name) in self.schemas:
            return type_, name
        return (type_, None) if type_ != "track" and (type_, None) in self.schemas else None

    def _explain_version(self, type_: str, name: str | None, version: str | None) -> Violation:
        event = self._planned(type_, name)
        known = ", ".join(str(schema.version) for schema in self.schemas[event]) if event else ""
        message = f"schema version {_quoted(version)} is not in the plan; it has {known}"
        return Violation("", "version", known, message)

    def _explain_unplanned(self, type_: str, name: str | None) -> Violation:
        what = visible(shorten(type_)) + (f" {_quoted(name)}" if type_ in NAMED_TYPES and name else "")
        names = [event for planned, event in self.schemas if planned == type_ and event]
        near = get_close_matches(str(name)[:100], names, n=1)
        hint = f"; did you mean {_quoted(near[0])}?" if near else ""
        return Violation("", "unplanned", near[0] if near else "", f"{what} is not in the plan{hint}")


def _quoted(text: str | None) -> str:
    return f'"{visible(shorten(str(text)))}"'


def _entry(schema: EventSchema, validator: EventValidator) -> _Entry:
    return _Entry(
        validator.is_valid_unguarded, validator, Verdict(Outcome.VALID, schema), Verdict(Outcome.INVALID, schema)
    )


def _by_event(schemas: list[EventSchema]) -> Mapping[tuple[str, str | None], tuple[EventSchema, ...]]:
    found: dict[tuple[str, str | None], list[EventSchema]] = {}
    for schema in sorted(schemas, key=lambda schema: (schema.type, schema.event or "", schema.version)):
        found.setdefault((schema.type, schema.event), []).append(schema)
    return MappingProxyType({event: tuple(versions) for event, versions in found.items()})


def _canonical(document: Any) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _revision(documents: Mapping[str, bytes]) -> str:
    digest = blake2b(digest_size=8, person=b"assay.plan")
    for file, data in documents.items():
        # The lengths keep one file's end and the next one's name apart.
        digest.update(f"{len(file)}:{len(data)}:{file}".encode("utf-8", "surrogatepass") + data)
    return digest.hexdigest()
