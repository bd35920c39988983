"""The content of a message of type ``consent``: which purposes somebody allows or refuses, in plain words."""

from dataclasses import dataclass
from typing import Any

import msgspec

from assay.contract.consent import PURPOSES, STATES
from assay.contract.errors import AssayError
from assay.contract.times import INSTANT_MAX, SECOND, UnreadableTime, parse_instant

TEXT_CHARS_MAX = 200
TTL_SECONDS_MAX = 100 * 366 * 24 * 3600

Json = dict[str, Any]


@dataclass(eq=False)
class InvalidStatement(AssayError):
    """A statement of consent that cannot be read: none of it is taken, since half a statement says something else."""

    pointer: str  # JSON pointer to what is wrong
    detail: str  # quotes nothing

    def __str__(self) -> str:
        return self.detail


class Statement(msgspec.Struct, rename="camel"):
    """The fields of the message that only a statement has, as they came."""

    purposes: Any = None
    legal_basis: Any = None
    policy_version: Any = None
    at: Any = None  # the same as `timestamp`
    expires_at: Any = None
    ttl_seconds: Any = None
    evidence: Any = None

    def said_at(self) -> int | None:
        """
        When it was said, where `at` tells.

        Raises:
            InvalidStatement: It cannot be read.
        """
        return _instant(self.at, "/at")

    def properties(self, at: int) -> Json:
        """
        What is stored of it, and what ``consent.read_statement`` takes.

        Args:
            at: When it was said, which a time to live counts from.

        Raises:
            InvalidStatement: Something in it is not what it must be.
        """
        found = {
            "purposes": self._states(),
            "legalBasis": _text(self.legal_basis, "/legalBasis"),
            "policyVersion": _text(self.policy_version, "/policyVersion"),
            "expiresAt": self._expiry(at),
            "evidence": self.evidence,
        }
        return {name: value for name, value in found.items() if value is not None}

    def _states(self) -> dict[str, str]:
        if not isinstance(self.purposes, dict) or not self.purposes:
            raise InvalidStatement("/purposes", 'must say which, such as {"analytics": "granted"}')
        return {_purpose(name): _state(value) for name, value in self.purposes.items()}

    def _expiry(self, at: int) -> int | None:
        if self.ttl_seconds is None:
            return _instant(self.expires_at, "/expiresAt")
        ttl = self.ttl_seconds
        if isinstance(ttl, bool) or not isinstance(ttl, int | float) or not 0 < ttl <= TTL_SECONDS_MAX:
            raise InvalidStatement("/ttlSeconds", f"must be a number of seconds from 1 to {TTL_SECONDS_MAX}")
        return min(at + int(ttl * SECOND), INSTANT_MAX)


_decode = msgspec.json.Decoder(Statement).decode


def read_statement_of(data: bytes) -> Statement:
    """
    The fields of a statement in a message.

    Raises:
        InvalidStatement: The message is damaged.
    """
    try:
        return _decode(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        raise InvalidStatement("", "a statement of consent must be plain JSON") from None


def _purpose(name: str) -> str:
    if name not in PURPOSES:
        raise InvalidStatement("/purposes", f"a purpose must be one of {', '.join(PURPOSES)}")
    return name


def _state(value: object) -> str:
    if isinstance(value, bool):
        return "granted" if value else "denied"
    if not isinstance(value, str) or value not in STATES:
        raise InvalidStatement("/purposes", f"a state must be one of {', '.join(STATES)}, or true or false")
    return value


def _instant(value: object, pointer: str) -> int | None:
    if value is None or value == "":
        return None
    try:
        return parse_instant(value)
    except UnreadableTime as error:
        raise InvalidStatement(pointer, str(error)) from None


def _text(value: object, pointer: str) -> str | None:
    if value is None or value == "":
        return None
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None
    if text is None or len(text) > TEXT_CHARS_MAX:
        raise InvalidStatement(pointer, f"must be text of at most {TEXT_CHARS_MAX} characters")
    return text
