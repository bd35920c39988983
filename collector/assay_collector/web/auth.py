"""
Who is asking: write keys and admin tokens.

Keys are looked up by the SHA-256 of the secret, so neither the store nor the cache ever holds one.
"""

import binascii
import hmac
from collections.abc import Callable
from dataclasses import dataclass

from assay_collector.keys import digest_of
from assay_collector.store import Key, Keyring, Source

_SECOND = 1_000_000
_CACHE_ENTRIES_MAX = 4096
# A key made a moment ago should work soon, even where it was tried too early.
_UNKNOWN_SECONDS_MAX = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Grant:
    """What a secret stands for."""

    key: Key
    source: Source | None  # None for admin tokens


@dataclass(frozen=True, slots=True)
class Authorization:
    """An Authorization header, read tolerantly."""

    basic: str | None = None  # the user name: where write keys stand
    bearer: str | None = None


_NOTHING = Authorization()


def read_authorization(header: str | None) -> Authorization:
    """
    Read an Authorization header.

    ``Basic`` with or without the colon, with or without padding, and even with the bare key in place of base64.
    """
    if not header:
        return _NOTHING
    scheme, _, token = header.strip().partition(" ")
    token = token.strip()
    if not token:
        return _NOTHING
    if scheme.lower() == "basic":
        return Authorization(basic=_basic_user(token) or None)
    if scheme.lower() == "bearer":
        return Authorization(bearer=token)
    return _NOTHING


def _basic_user(token: str) -> str:
    try:
        user = binascii.a2b_base64(token + "===").partition(b":")[0].decode("ascii")
    except ValueError:
        return token
    return user.strip() if user.isprintable() else token


class Keys:
    """
    The keyring behind a short-lived cache.

    A key that was revoked works on for at most the cache's time, unless `invalidate` is called. Safe to use from many
    threads.
    """

    def __init__(self, keyring: Keyring, now: Callable[[], int], cache_seconds: float) -> None:
        self._keyring = keyring
        self._now = now
        self._cache_time = int(cache_seconds * _SECOND)
        self._unknown_time = int(min(cache_seconds, _UNKNOWN_SECONDS_MAX) * _SECOND)
        self._grants: dict[bytes, tuple[int, Grant | None]] = {}

    def find(self, secret: str) -> Grant | None:
        """
        What a secret stands for now.

        Raises:
            StoreUnavailable: It is not known, and the store cannot say.
        """
        digest = digest_of(secret)
        now = self._now()
        cached = self._grants.get(digest)
        if cached is not None:
            loaded_at, grant = cached
            # A clock set back makes the age negative; then the entry is as good as old.
            if 0 <= now - loaded_at < (self._unknown_time if grant is None else self._cache_time):
                return grant
        return self._load(digest, now)

    def source_of(self, secret: str) -> Source | None:
        """Whose write key this is."""
        grant = self.find(secret)
        return None if grant is None else grant.source

    def invalidate(self) -> None:
        """Forget everything, so that a change of keys or sources counts at once."""
        self._grants = {}

    def _load(self, digest: bytes, now: int) -> Grant | None:
        key = self._keyring.find(digest)
        grant = None
        if key is not None and hmac.compare_digest(key.digest, digest):
            sources = {source.id: source for source in self._keyring.sources()}
            source = None if key.kind == "admin" or key.source is None else sources.get(key.source)
            # A write key of a source that is gone opens nothing.
            grant = Grant(key=key, source=source) if source is not None or key.kind == "admin" else None
        if len(self._grants) >= _CACHE_ENTRIES_MAX:
            self._grants = {}
        self._grants[digest] = (now, grant)
        return grant
