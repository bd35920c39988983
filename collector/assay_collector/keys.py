"""
What keys look like.

A secret is its kind's prefix and 256 bits of randomness in base 62, so that scanners recognise a leaked one by
``assay_(wk|ws|admin)_[0-9A-Za-z]{43}``, and a double click selects all of it.
"""

import hashlib
from typing import Literal

from assay_collector.store import Key

KeyKind = Literal["browser", "server", "admin"]

PREFIXES: dict[KeyKind, str] = {"browser": "assay_wk_", "server": "assay_ws_", "admin": "assay_admin_"}
ENTROPY_BYTES = 32

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SECRET_DIGITS = 43  # 62 ** 43 > 2 ** 256
_ID_DIGITS = 10


def new_key(kind: KeyKind, source: str | None, *, entropy: bytes, now: int, note: str = "") -> tuple[str, Key]:
    """
    A new secret, and the key to be stored of it.

    Args:
        source: The source whose events it admits; None for admin tokens.
        entropy: ENTROPY_BYTES random bytes.
        now: Microseconds since the epoch.
    """
    if len(entropy) != ENTROPY_BYTES:
        raise ValueError(f"a secret needs {ENTROPY_BYTES} random bytes, not {len(entropy)}")
    secret = PREFIXES[kind] + _base62(int.from_bytes(entropy), _SECRET_DIGITS)
    digest = digest_of(secret)
    # The id is taken from the digest, from which nobody gets back to the secret.
    key_id = "key_" + _base62(int.from_bytes(digest[:8]), _ID_DIGITS)[-_ID_DIGITS:]
    return secret, Key(id=key_id, kind=kind, source=source, digest=digest, created_at=now, note=note)


def digest_of(secret: str) -> bytes:
    """What is stored of a secret: its SHA-256."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _base62(number: int, digits: int) -> str:
    text = ""
    while number or len(text) < digits:
        number, rest = divmod(number, len(_DIGITS))
        text = _DIGITS[rest] + text
    return text
