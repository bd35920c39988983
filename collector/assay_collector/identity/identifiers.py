"""
Identifiers: what types there are, and their keyed hashes, so that events and tallies never carry a name.

An identifier is (namespace, type, canonical value). TYPES is the whole of what the types differ in.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b, sha256
from typing import Literal

IdentifierType = Literal["user", "anonymous", "device", "email_hash", "external", "account"]
IDENTITY_KEY_BYTES = 32
# Enough for the identifiers of a busy hour; a miss costs a microsecond.
CACHED_IDS = 65_536

Identify = Callable[[str, IdentifierType, str], bytes]


def _as_it_is(value: str) -> str:
    return value


def _lower(value: str) -> str:
    return value.strip().lower()


def hash_email(address: str) -> str:
    """An email address as it is kept: never itself, and the same however it was written."""
    return sha256(_lower(address).encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class TypeRule:
    """What holds for all identifiers of a type."""

    canonical: Callable[[str], str]  # the value that is hashed and kept
    strength: int  # of two links that cannot both stand, the one with the stronger weaker end stands
    ceiling: int  # so many others may be seen with it within CEILING_WINDOW; with more it is no person's


# A userId is kept as it is: whether "Ada" and "ada" are one is the product's to say. A device id is weaker than an
# anonymous id, because it outlives a logout.
TYPES: Mapping[IdentifierType, TypeRule] = {
    "user": TypeRule(_as_it_is, 4, 1_000),
    "email_hash": TypeRule(_as_it_is, 3, 100),
    "external": TypeRule(_as_it_is, 3, 100),
    "anonymous": TypeRule(_as_it_is, 2, 100),
    "device": TypeRule(_lower, 1, 100),
}


def identifier_hasher(key: bytes) -> Identify:
    """
    The function from (namespace, type, value) to an identity id under a key.

    Args:
        key: 16 to 64 secret bytes; whoever lacks it cannot tell whether a given person is in the store.

    Returns:
        A function that gives 16 bytes; the same identifier always gives the same.
    """

    @lru_cache(maxsize=CACHED_IDS)
    def identify(namespace: str, type: IdentifierType, value: str) -> bytes:
        text = f"{len(namespace)}:{namespace}{type}:{value}".encode("utf-8", "surrogatepass")
        return blake2b(text, digest_size=16, key=key, person=b"assay.identity").digest()

    return identify
