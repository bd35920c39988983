"""Identifiers: those a client draws, and those that every party derives alike."""

from hashlib import blake2b
from uuid import NAMESPACE_URL, UUID, uuid5

ID_BYTES = 16


def uuid7(now: int, entropy: bytes) -> str:
    """
    A time-ordered UUID, version 7.

    Args:
        now: Microseconds since the Unix epoch; only whole milliseconds are kept.
        entropy: At least 10 random bytes; the first 74 bits are used.

    Returns:
        The canonical 36 characters, lower case.

    Source: RFC 9562, section 5.7.
    """
    milliseconds = (now // 1000) & ((1 << 48) - 1)
    random_bits = int.from_bytes(entropy[:10], "big") >> 6
    high, low = random_bits >> 62, random_bits & ((1 << 62) - 1)
    return str(UUID(int=milliseconds << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low))


def dedupe_id(key: str) -> str:
    """
    The message id of an event that is told apart by a key of the app's, such as ``invoice:42:paid``.

    The same in every process and every language: the UUID of version 5 (RFC 9562, section 5.5) of the text
    ``assay:dedupe:`` and the key, in the namespace for URLs.
    """
    return str(uuid5(NAMESPACE_URL, f"assay:dedupe:{key}"))


def event_id(source: str, message_id: str) -> bytes:
    """
    The event's identity: the same for every collector that sees the same (source, messageId).

    Sources are part of it, so one tenant can never shadow another's events.

    Returns:
        16 bytes.
    """
    # The length keeps ("a", "bc") and ("ab", "c") apart.
    text = f"{len(source)}:{source}{message_id}".encode("utf-8", "surrogatepass")
    return blake2b(text, digest_size=ID_BYTES, person=b"assay.event").digest()
