"""The document without which browsers do not start."""

from typing import Any

import pytest
from web_parts import BROWSER_KEY, SERVER_KEY, make_house

from assay_collector.web.application import WebSettings


def fetch(settings: WebSettings, key: str = BROWSER_KEY, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return make_house(settings).app.test_client().get(f"/v1/projects/{key}/settings", headers=named)


@pytest.mark.parametrize(
    ("settings", "headers", "host", "protocol"),
    [
        (WebSettings(), {}, "localhost/v1", "http"),
        (WebSettings(), {"Host": "events.example:8443"}, "events.example:8443/v1", "http"),
        (WebSettings(public_url="https://events.example"), {}, "events.example/v1", "https"),
        (WebSettings(public_url="https://example.com/events/"), {}, "example.com/events/v1", "https"),
        (WebSettings(), {"X_Forwarded_Proto": "https", "X_Forwarded_Host": "a.example"}, "localhost/v1", "http"),
        (WebSettings(proxy_hops=1), {"X_Forwarded_Proto": "https", "X_Forwarded_Host": "a.ex"}, "a.ex/v1", "https"),
        (WebSettings(), {"Host": "evil/@x"}, "localhost:80/v1", "http"),
    ],
)  # fmt: skip
def test_it_names_where_to_send(settings: WebSettings, headers: dict[str, str], host: str, protocol: str) -> None:
    """The operator's word, else the request's own host; forwarded headers only behind our own proxy."""
    segment = fetch(settings, **headers).json["integrations"]["Segment.io"]

    assert (BROWSER_KEY, host, protocol) == (segment["apiKey"], segment["apiHost"], segment["protocol"])


def test_it_stops_telemetry_and_tunes_retries() -> None:
    """Nothing is sampled; retries go on for half a day, and back off."""
    document = fetch(WebSettings()).json

    assert {"sampleRate": 0} == document["metrics"]
    assert document["httpConfig"]["rateLimitConfig"]["enabled"]
    assert 43_200 == document["httpConfig"]["backoffConfig"]["maxTotalBackoffDuration"]
    # The browser's SDK looks for it there, the others at the top.
    assert document["httpConfig"] == document["integrations"]["Segment.io"]["httpConfig"]


def test_consent_categories_where_the_source_has_them() -> None:
    """They let the SDK's consent wrapper know what to ask about."""
    assert {"allCategories": ["Ads", "Analytics"], "hasUnmappedDestinations": False} == fetch(WebSettings()).json[
        "consentSettings"
    ]
    assert "consentSettings" not in fetch(WebSettings(), SERVER_KEY).json


def test_a_server_key_is_served_and_counted() -> None:
    """It should not be in a page; the page works all the same."""
    house = make_house()
    response = house.app.test_client().get(f"/v1/projects/{SERVER_KEY}/settings")

    assert 200 == response.status_code
    assert 'source="app"} 1.0' in house.metric("assay_server_key_in_browser_total")


def test_it_may_be_cached_by_origin() -> None:
    """A cache must not give one page's CORS headers to another."""
    response = fetch(WebSettings())

    assert ("public, max-age=60", "Origin") == (response.headers["Cache-Control"], response.headers["Vary"])
