"""What an operator may set about who is who, and the identifiers that stand for nobody."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from typing import Literal

from assay.contract.times import DAY
from assay_collector.identity.identifiers import IdentifierType

# Stored with every link: by which edition of the rules its state was decided.
RULE_VERSION = 2
CEILING_WINDOW = DAY
COMPONENT_MAX = 1_000

Adopt = Literal["first", "never"]

# What programs write where a value is missing. Compared without case and surrounding space.
_ANYWHERE = ("null", "0", "undefined", "none", "nan", "nil", "(null)", "[object object]")
_BY_TYPE: dict[IdentifierType, tuple[str, ...]] = {
    # Android's emulator, its famous broken firmware, and an address that iOS gives to everybody.
    "device": ("unknown", "9774d56d682e549c", "02:00:00:00:00:00"),
}
_TESTERS: tuple[IdentifierType, ...] = ("user", "email_hash", "external")
_CACHED = 65_536


class Placeholders:
    """The values that stand for nobody: typed, so that what is nobody as a user may be somebody's device."""

    def __init__(self, more: Iterable[str] = ()) -> None:
        """
        Args:
            more: Further values, each for every type, or for one as ``type:value``.
        """
        self.more = tuple(sorted(set(more)))
        self._anywhere = {*_ANYWHERE}
        self._typed: set[tuple[str, str]] = {(type, value) for type, values in _BY_TYPE.items() for value in values}
        for entry in self.more:
            type, colon, value = entry.strip().lower().partition(":")
            if colon and type in _NAMES:
                self._typed.add((type, value))
            else:
                self._anywhere.add(entry.strip().lower())
        self.refuses = lru_cache(maxsize=_CACHED)(self._refuses)

    def _refuses(self, type: IdentifierType, value: str) -> bool:
        """Whether this stands for nobody."""
        plain = value.strip().lower()
        return (
            plain in self._anywhere
            or (type, plain) in self._typed
            or _is_zero_uuid(plain)
            or (type in _TESTERS and plain.startswith("test@"))
        )


_NAMES = frozenset({"user", "anonymous", "device", "email_hash", "external"})


def _is_zero_uuid(value: str) -> bool:
    return len(value) in (32, 36) and not value.strip("0-")


@dataclass(frozen=True, kw_only=True)
class IdentityRules:
    """Everything that may be set about who is who."""

    component_max: int = COMPONENT_MAX  # identifiers of one person
    adopt: Adopt = "first"  # who gets what a person did before its first account: that account, or nobody
    placeholders: Placeholders = field(default_factory=Placeholders)

    @property
    def fingerprint(self) -> bytes:
        """Changes when stored states would be decided otherwise."""
        said = repr((RULE_VERSION, self.component_max, self.adopt, self.placeholders.more)).encode()
        return blake2b(said, digest_size=16).digest()


DEFAULT_IDENTITY_RULES = IdentityRules()
