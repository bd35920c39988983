"""What keys look like, and what is kept of them."""

import hashlib
import re

import pytest

from assay_collector.keys import digest_of, new_key

# The pattern that the documentation gives to secret scanners.
SCANNER = re.compile(r"assay_(wk|ws|admin)_[0-9A-Za-z]{43}")


@pytest.mark.parametrize("entropy", [b"\0" * 32, b"\xff" * 32, bytes(range(32))], ids=["least", "most", "any"])
@pytest.mark.parametrize("kind", ["browser", "server", "admin"])
def test_scanners_recognise_every_secret(kind, entropy):
    """A secret matches the documented pattern, whatever its randomness."""
    secret, _ = new_key(kind, None, entropy=entropy, now=0)

    assert SCANNER.fullmatch(secret)


def test_only_the_digest_is_kept():
    """The stored key has the secret's SHA-256, and nothing of the secret."""
    secret, key = new_key("server", "web", entropy=bytes(range(32)), now=7, note="backend")

    assert hashlib.sha256(secret.encode()).digest() == key.digest == digest_of(secret)
    assert secret.removeprefix("assay_ws_")[:4] not in key.id
    assert ("server", "web", 7, "backend") == (key.kind, key.source, key.created_at, key.note)


def test_different_randomness_gives_different_keys():
    """All 256 bits count."""
    secrets = {new_key("server", None, entropy=bytes(31) + bytes([last]), now=0)[0] for last in range(256)}

    assert 256 == len(secrets)


def test_too_little_randomness_is_refused():
    """A weak secret cannot be made by mistake."""
    with pytest.raises(ValueError, match="32 random bytes"):
        new_key("server", None, entropy=b"short", now=0)


def test_anything_may_be_digested():
    """A request may hold any text where a key should be."""
    assert 32 == len(digest_of("\udcff"))
