"""What can be wrong with a call or its delivery: raised in the mode ``raise``, otherwise handed to ``on_error``."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from assay.contract.errors import AssayError


class Explanation(Protocol):
    """One rule that an event breaks, as assay.contract.validation.Violation; it never holds a personal value."""

    @property
    def pointer(self) -> str: ...

    @property
    def rule(self) -> str: ...

    @property
    def message(self) -> str: ...


@dataclass(eq=False)
class InvalidSetting(AssayError):
    """A setting of the client that it cannot work with."""

    name: str
    problem: str

    def __str__(self) -> str:
        return f"{self.name} {self.problem}"


@dataclass(eq=False)
class NotConfigured(AssayError):
    """A module-level function was called before ``assay.configure``."""

    def __str__(self) -> str:
        return "there is no default client yet; call assay.configure(url, write_key) first"


@dataclass(eq=False)
class MalformedCall(AssayError):
    """A call that can be no event: nobody did it, or it has no name, or its properties are no mapping."""

    type: str
    problem: str

    def __str__(self) -> str:
        return f"{self.type}() was not recorded: {self.problem}"


@dataclass(eq=False)
class EventTooLarge(AssayError):
    """An event above the size that collectors take. The error holds its size, never its content."""

    type: str
    event: str | None
    size_bytes: int
    size_bytes_max: int

    def __str__(self) -> str:
        what = self.type if self.event is None else f"{self.type} {self.event!r}"
        return (
            f"{what} has {self.size_bytes} bytes as JSON, above the limit of {self.size_bytes_max}; "
            "send fewer or shorter properties"
        )


@dataclass(eq=False)
class PlanViolation(AssayError):
    """An event that the local tracking plan does not allow."""

    type: str
    event: str | None
    # invalid, unplanned or unknown_version.
    verdict: str
    violations: Sequence[Explanation] = ()

    def __str__(self) -> str:
        what = self.type if self.event is None else f"{self.type} {self.event!r}"
        reasons = "; ".join(f"{each.pointer or '/'}: {each.message}" for each in self.violations)
        return f"{what} is {self.verdict} by the tracking plan" + (f": {reasons}" if reasons else "")


@dataclass(eq=False)
class EventsDropped(AssayError):
    """Events that will not be delivered, and why."""

    reason: str
    count: int
    # What the collector or the network said: a status, an error code, an error's class. Never content.
    detail: str = ""

    def __str__(self) -> str:
        because = f" ({self.detail})" if self.detail else ""
        return f"{self.count} event(s) dropped: {self.reason}{because}"


@dataclass(eq=False)
class EventQuarantined(AssayError):
    """The collector has the event, but keeps it in quarantine."""

    message_id: str
    code: str

    def __str__(self) -> str:
        return f"event {self.message_id} is in the collector's quarantine: {self.code or 'no reason given'}"
