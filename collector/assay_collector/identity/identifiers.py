"""Identity ids: keyed hashes of raw identifiers, so that events and tallies never carry a name."""

from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b
from typing import Literal

IdentifierType = Literal["user", "anonymous", "device", "email_hash", "external", "account"]
IDENTITY_KEY_BYTES = 32
# Enough for the identifiers of a busy hour; a miss costs a microsecond.
CACHED_IDS = 65_536

Identify = Callable[[str, IdentifierType, str], bytes]


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
