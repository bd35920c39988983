"""The key cache, and what requests say about keys."""

import pytest
from web_parts import ADMIN_TOKEN, BROWSER_KEY, NOW, OTHER_KEY, SERVER_KEY, MemoryKeyring, make_house

from assay_collector.store import StoreUnavailable
from assay_collector.web.application import keys_of
from assay_collector.web.auth import Keys, read_authorization

SECOND = 1_000_000


def test_a_key_is_looked_up_once_while_it_is_fresh() -> None:
    """Within the cache's time the store is not asked again; after it, it is."""
    keyring, clock = MemoryKeyring(), [NOW]
    keys = Keys(keyring, lambda: clock[0], 5.0)
    for moment in (0, 4, 6):
        clock[0] = NOW + moment * SECOND
        assert "app" == keys.source_of(SERVER_KEY).id  # type: ignore[union-attr]

    assert 2 == keyring.lookups


def test_a_revoked_key_ends_with_the_cache() -> None:
    """At most the cache's time later, or at once after invalidate."""
    keyring, clock = MemoryKeyring(), [NOW]
    keys = Keys(keyring, lambda: clock[0], 5.0)
    assert keys.find(SERVER_KEY) is not None
    keyring.revoke("key_server", NOW)

    assert keys.find(SERVER_KEY) is not None
    clock[0] += 5 * SECOND
    assert keys.find(SERVER_KEY) is None


def test_invalidate_counts_at_once() -> None:
    """The process that changes a key need not wait for its own cache."""
    house = make_house()
    keys = keys_of(house.app)
    assert keys.find(OTHER_KEY) is not None
    house.store.keyring.revoke("key_other", NOW)
    keys.invalidate()

    assert keys.find(OTHER_KEY) is None


def test_a_clock_set_back_does_not_keep_a_key_alive() -> None:
    """An entry from the future is old."""
    keyring, clock = MemoryKeyring(), [NOW]
    keys = Keys(keyring, lambda: clock[0], 5.0)
    keys.find(SERVER_KEY)
    clock[0] -= 3600 * SECOND
    keyring.revoke("key_server", NOW)

    assert keys.find(SERVER_KEY) is None


def test_an_unknown_key_is_forgotten_soon() -> None:
    """A key that was tried a moment before it was made works a second later."""
    keyring, clock = MemoryKeyring(), [NOW]
    keys = Keys(keyring, lambda: clock[0], 60.0)
    known = keyring.find(keyring.keys()[0].digest)
    assert known is not None
    keyring.revoke(known.id, NOW)
    assert keys.find(BROWSER_KEY) is None
    keyring.put_key(known)

    assert keys.find(BROWSER_KEY) is None
    clock[0] += 1 * SECOND
    assert keys.find(BROWSER_KEY) is not None


def test_the_cache_is_bounded() -> None:
    """A flood of made-up keys does not fill the memory."""
    keys = Keys(MemoryKeyring(), lambda: NOW, 5.0)
    for number in range(10_000):
        keys.find(f"made up {number}")

    assert len(keys._grants) <= 4096


def test_an_admin_token_is_no_write_key() -> None:
    """It has no source."""
    assert Keys(MemoryKeyring(), lambda: NOW, 5.0).source_of(ADMIN_TOKEN) is None


@pytest.mark.parametrize(
    ("header", "basic", "bearer"),
    [
        (None, None, None), ("", None, None), ("Basic", None, None), ("Basic Og==", None, None),
        ("Basic a2V5Og==", "key", None), ("  BASIC   a2V5Og  ", "key", None), ("Basic a2V5", "key", None),
        ("Basic a2V5OnNlY3JldDp3b3Jk", "key", None), ("Basic assay_ws_1", "assay_ws_1", None),
        ("Bearer abc", None, "abc"), ("Digest abc", None, None), ("Basic \xff", "\xff", None),
    ],
)  # fmt: skip
def test_authorization_headers(header: str | None, basic: str | None, bearer: str | None) -> None:
    """Read tolerantly, and never raising."""
    authorization = read_authorization(header)

    assert (basic, bearer) == (authorization.basic, authorization.bearer)


def test_a_server_key_in_a_browser_is_counted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Its events are kept, since SDKs drop on 4xx, and the operator hears of it by the key's public id."""
    house = make_house()
    message = {"event": "E", "userId": "u", "messageId": "m", "writeKey": SERVER_KEY}
    response = house.app.test_client().post("/v1/t", json=message, headers={"Origin": "https://shop.example"})

    assert 200 == response.status_code
    assert 'assay_server_key_in_browser_total{source="app"} 1.0' in house.metric("assay_server_key_in_browser_total")
    assert {"source": "app", "key": "key_server"} == caplog.records[0].__dict__["fields"]
    assert SERVER_KEY not in caplog.text


def test_a_keyring_that_cannot_answer_is_a_503() -> None:
    """Not knowing a key now is not the same as a wrong key."""
    house = make_house()

    def find(digest: bytes) -> None:
        raise StoreUnavailable("locked")

    house.store.keyring.find = find  # type: ignore[method-assign]
    message = {"event": "E", "userId": "u", "writeKey": SERVER_KEY}

    assert 503 == house.app.test_client().post("/v1/t", json=message).status_code
