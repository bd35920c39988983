"""What the ingest stage is told about a request."""

from typing import Any

import pytest
from web_parts import BROWSER_KEY, NOW, OTHER_KEY, SERVER_KEY, House, make_house

from assay_collector.web.application import WebSettings

MESSAGE = {"event": "E", "userId": "u", "messageId": "m", "writeKey": BROWSER_KEY}


def post(house: House, headers: dict[str, str], key: str = BROWSER_KEY, **environ: Any) -> Any:
    response = house.app.test_client().post(
        "/v1/t", json={**MESSAGE, "writeKey": key}, headers=headers, environ_overrides=environ
    )
    assert 200 == response.status_code
    return house.ingest.signals[-1]


@pytest.mark.parametrize(("headers", "gpc", "dnt"), [({}, False, False), ({"Sec-GPC": "1"}, True, False),
    ({"DNT": "1"}, False, True), ({"Sec-GPC": "0", "DNT": "0"}, False, False)])  # fmt: skip
def test_privacy_headers(headers: dict[str, str], gpc: bool, dnt: bool) -> None:
    """Sec-GPC and DNT count when they are exactly 1."""
    signals = post(make_house(), headers)

    assert (gpc, dnt) == (signals.gpc, signals.dnt)


def test_headers_that_stand_for_fields() -> None:
    """SentAt and AnonymousId reach the arrival, with the moment of receipt."""
    house = make_house()
    post(house, {"SentAt": "2026-03-01T08:00:00Z", "AnonymousId": "anon-é".encode().decode("latin-1")})

    arrival = house.ingest.arrivals[-1]
    assert (NOW, "2026-03-01T08:00:00Z", "anon-é") == (arrival.received_at, arrival.sent_at, arrival.anonymous_id)


@pytest.mark.parametrize("value", ["", "x" * 513, "a\tb"])
def test_an_anonymous_id_header_that_is_none(value: str) -> None:
    """What cannot be an id is left out."""
    house = make_house()
    post(house, {"AnonymousId": value})

    assert house.ingest.arrivals[-1].anonymous_id is None


@pytest.mark.parametrize(
    ("hops", "forwarded", "expected"),
    [
        (0, "9.9.9.9", "10.0.0.1"), (1, "9.9.9.9, 8.8.8.8", "8.8.8.8"), (2, "9.9.9.9, 8.8.8.8", "9.9.9.9"),
        (3, "9.9.9.9, 8.8.8.8", "9.9.9.9"), (1, "", "10.0.0.1"), (1, "unknown", "10.0.0.1"),
        (1, "[2001:db8::1]", "2001:db8::1"),
    ],
)  # fmt: skip
def test_the_senders_address(hops: int, forwarded: str, expected: str) -> None:
    """Of X-Forwarded-For only what our own proxies wrote is believed."""
    house = make_house(WebSettings(proxy_hops=hops))
    signals = post(house, {"X-Forwarded-For": forwarded} if forwarded else {}, REMOTE_ADDR="10.0.0.1")

    assert expected == signals.ip


def test_who_is_a_browser() -> None:
    """A browser key, or an Origin header."""
    house = make_house()

    assert post(house, {}, BROWSER_KEY).browser
    assert post(house, {"Origin": "https://shop.example"}, SERVER_KEY).browser
    assert not post(house, {}, SERVER_KEY).browser


def test_a_single_messages_key_has_no_second_say() -> None:
    """The Authorization header has won over the body; the item's copy of the body's key does not bring it back."""
    house = make_house()
    signals = post(house, {"Authorization": f"Basic {SERVER_KEY}"}, OTHER_KEY)

    assert ["app:m"] == house.stored_ids()
    assert "app" == signals.sources(OTHER_KEY).id
