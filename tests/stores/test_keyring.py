"""The Keyring port's promises, kept by every adapter."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from assay_collector.keys import new_key
from assay_collector.store import Key, Keyring, Source
from assay_collector.stores.sqlite.database import Database
from assay_collector.stores.sqlite.keyring import SQLiteKeyring

Opened = Callable[[], Keyring]


@pytest.fixture(params=["sqlite"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opened]:
    """Opens the adapter, again and again on the same data."""
    databases: list[Database] = []

    def open_sqlite() -> Keyring:
        databases.append(Database(tmp_path / "assay.db"))
        return SQLiteKeyring(databases[-1])

    yield {"sqlite": open_sqlite}[request.param]
    for database in databases:
        database.close()


@pytest.fixture
def keyring(opened: Opened) -> Keyring:
    return opened()


WEB = Source(id="web", name="The web app")


def a_key(number: int = 1, *, at: int = 1_000, source: str | None = "web") -> Key:
    return new_key("browser", source, entropy=bytes([number]) * 32, now=at)[1]


def test_a_source_comes_back_as_it_was_put(keyring: Keyring):
    """Every field of a source is kept, the optional maps too."""
    source = Source(
        id="ios",
        name="iOS",
        namespace="mobile",
        invalid="allow",
        unplanned="reject-in-development",
        consent={"analytics": "opt_in"},
        categories={"C0002": ["analytics", "pql_scoring"]},
        on_deny={"analytics": "drop"},
        gpc=("sales_contact",),
        dnt=("enrichment",),
        google_consent=True,
        consent_days=180,
    )

    keyring.put_source(source, 1_000)

    assert [source] == list(keyring.sources())


def test_putting_a_source_again_changes_it(keyring: Keyring):
    """A source is named by its id, so there is never a second one."""
    keyring.put_source(WEB, 1_000)

    keyring.put_source(Source(id="web", name="Renamed", invalid="allow"), 2_000)

    assert [Source(id="web", name="Renamed", invalid="allow")] == list(keyring.sources())


def test_sources_come_by_id(keyring: Keyring):
    """The order of sources does not depend on when they were made."""
    for name in ("web", "api", "ios"):
        keyring.put_source(Source(id=name, name=name), 1_000)

    assert ["api", "ios", "web"] == [source.id for source in keyring.sources()]


def test_a_key_is_found_by_its_digest(keyring: Keyring):
    """A live key is found, whole, by the digest of its secret."""
    keyring.put_source(WEB, 1_000)
    keyring.put_key(a_key(1))

    assert a_key(1) == keyring.find(a_key(1).digest)


def test_an_unknown_digest_finds_nothing(keyring: Keyring):
    """Nobody gets in with a digest that was never put."""
    assert keyring.find(a_key(2).digest) is None


def test_an_admin_token_has_no_source(keyring: Keyring):
    """An admin token stands apart from sources."""
    token = new_key("admin", None, entropy=b"a" * 32, now=1_000, note="ops")[1]
    keyring.put_key(token)

    assert token == keyring.find(token.digest)


def test_a_revoked_key_is_not_found_but_listed(keyring: Keyring):
    """Revoking takes effect at once, and leaves a trace."""
    keyring.put_source(WEB, 1_000)
    keyring.put_key(a_key(1))

    assert keyring.revoke(a_key(1).id, 5_000)

    assert keyring.find(a_key(1).digest) is None
    assert [5_000] == [key.revoked_at for key in keyring.keys()]


def test_revoking_twice_or_nothing_says_so(keyring: Keyring):
    """Only the first revocation counts; its moment stays."""
    keyring.put_source(WEB, 1_000)
    keyring.put_key(a_key(1))
    keyring.revoke(a_key(1).id, 5_000)

    assert not keyring.revoke(a_key(1).id, 6_000)
    assert not keyring.revoke("key_none", 6_000)
    assert [5_000] == [key.revoked_at for key in keyring.keys()]


def test_keys_come_newest_first(keyring: Keyring):
    """The key that was just made stands on top."""
    keyring.put_source(WEB, 1_000)
    for number in (1, 3, 2):
        keyring.put_key(a_key(number, at=number * 1_000))

    assert [3_000, 2_000, 1_000] == [key.created_at for key in keyring.keys()]


def test_everything_is_there_after_opening_again(opened: Opened):
    """What was put is on disk once the call returns, with no closing needed."""
    first = opened()
    first.put_source(WEB, 1_000)
    first.put_key(a_key(1))

    again = opened()

    assert [WEB] == list(again.sources())
    assert [a_key(1)] == list(again.keys())
