"""What browsers need before they hand an answer to a page."""

import pytest
from web_parts import ADMIN_TOKEN, BROWSER_KEY, make_house

from assay_collector.web.application import WebSettings

ORIGIN = "https://shop.example"
ASKED = "authorization,content-type,x-retry-count,x-of-the-site"


@pytest.mark.parametrize("path", ["/v1/t", "/b/", "/v1/projects/k/settings", "/v1/m", "/nowhere"])
def test_a_preflight_is_mirrored(path: str) -> None:
    """Origin and headers are echoed, for a day, with 200 and JSON."""
    headers = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": ASKED}
    response = make_house().app.test_client().options(path, headers=headers)

    assert (200, "application/json") == (response.status_code, response.headers["Content-Type"])
    assert ORIGIN == response.headers["Access-Control-Allow-Origin"]
    assert "true" == response.headers["Access-Control-Allow-Credentials"]
    assert ASKED == response.headers["Access-Control-Allow-Headers"]
    assert "86400" == response.headers["Access-Control-Max-Age"]
    assert "POST" in response.headers["Access-Control-Allow-Methods"]


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/t"), ("GET", "/v1/t"), ("GET", "/nowhere"), ("GET", "/v1/projects/nobody/settings"), ("POST", "/m")],
)
def test_every_answer_carries_the_headers(method: str, path: str) -> None:
    """A page must be able to read errors too, and the Retry-After on them."""
    response = make_house().app.test_client().open(path, method=method, headers={"Origin": ORIGIN})

    assert ORIGIN == response.headers["Access-Control-Allow-Origin"]
    assert "Retry-After" == response.headers["Access-Control-Expose-Headers"]
    assert "Origin" == response.headers["Vary"]


def test_a_503_shows_its_retry_after() -> None:
    """Without the exposed header a browser comes back after 0.2 seconds."""
    house = make_house()
    house.ingest.down = True
    message = {"event": "E", "userId": "u", "writeKey": BROWSER_KEY}
    response = house.app.test_client().post("/v1/t", json=message, headers={"Origin": ORIGIN})

    assert (503, "18") == (response.status_code, response.headers["Retry-After"])
    assert "Retry-After" == response.headers["Access-Control-Expose-Headers"]


def test_the_query_api_is_not_for_pages() -> None:
    """An admin's answers are not shared with the page that his browser is on."""
    headers = {"Origin": ORIGIN, "Authorization": f"Bearer {ADMIN_TOKEN}"}
    response = make_house().app.test_client().get("/v1/counts", headers=headers)

    assert 200 == response.status_code
    assert "Access-Control-Allow-Origin" not in response.headers


def test_only_the_origins_that_are_set() -> None:
    """With a list of origins, others get no CORS headers."""
    app = make_house(WebSettings(cors_origins=frozenset({ORIGIN}))).app
    ours = app.test_client().options("/v1/t", headers={"Origin": ORIGIN})
    other = app.test_client().options("/v1/t", headers={"Origin": "https://elsewhere.example"})

    assert ORIGIN == ours.headers["Access-Control-Allow-Origin"]
    assert "Access-Control-Allow-Origin" not in other.headers


@pytest.mark.parametrize("origin", ["a b", "x" * 600, "é"])
def test_nothing_odd_is_echoed(origin: str) -> None:
    """An origin that no browser writes is not written back."""
    response = make_house().app.test_client().options("/v1/t", headers={"Origin": origin})

    assert 200 == response.status_code
    assert "Access-Control-Allow-Origin" not in response.headers
