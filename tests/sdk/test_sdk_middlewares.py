"""One suite over all middlewares: what a request says comes into its events, and nothing into another's."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as tuned
from hypothesis import strategies as st
from web_apps import APPS, opened

import assay
from assay.integrations.visits import AnonymousCookie, Door, Request, campaign

NAME = "assay_anonymous_id"


@pytest.fixture(params=APPS)
def kind(request) -> str:
    return request.param


def who(events: list[dict[str, Any]]) -> list[tuple[Any, Any, Any]]:
    """Event, user and anonymous id."""
    return [(event.get("event", event["type"]), event.get("userId"), event.get("anonymousId")) for event in events]


def test_a_request_says_where_it_is_and_where_it_came_from(kind):
    """Page, referrer, campaign, browser, privacy signals and account; no query string, no address."""
    with opened(kind) as (house, browser):
        browser.get(
            "/seen?token=secret&utm_source=news&utm_campaign=spring",
            {
                "Referer": "https://search.example/q?find=me",
                "Sec-GPC": "1",
                "DNT": "1",
                "X-User": "u1",
                "X-Account": "acme",
            },
        )
        event = house.events[0]
    context = {name: value for name, value in event["context"].items() if name != "library"}

    assert ("u1", None) == (event["userId"], event.get("anonymousId"))
    assert {
        "page": {"url": "https://shop.example/seen", "path": "/seen", "referrer": "https://search.example/q"},
        "campaign": {"source": "news", "name": "spring"},
        "userAgent": "Browser/1.0",
        "gpc": True,
        "dnt": True,
        "groupId": "acme",
    } == context


def test_address_and_query_come_along_when_asked_for(kind):
    """An app that wants them says so."""
    with opened(kind, include_ip=True, include_query=True) as (house, browser):
        browser.get("/seen?q=1", {"Referer": "https://search.example/?find=me"})
        context = house.events[0]["context"]

    assert "127.0.0.1" == context["ip"]
    assert ("https://shop.example/seen?q=1", "?q=1") == (context["page"]["url"], context["page"]["search"])
    assert "https://search.example/?find=me" == context["page"]["referrer"]


def test_the_cookie_comes_with_the_first_event_that_needs_it(kind):
    """A page without an event, and one of a known user, set none; a visitor's id then stays the same."""
    with opened(kind) as (house, browser):
        without = [browser.get("/quiet"), browser.get("/seen", {"X-User": "u1"})]
        first, second = browser.get("/seen"), browser.get("/seen")
        events = house.events
    visitor = browser.cookies[NAME]
    attributes = dict.fromkeys(part.strip() for part in first.headers["Set-Cookie"].split(";")[1:])

    assert [None, None, None] == [answer.headers.get("Set-Cookie") for answer in (*without, second)]
    assert [("Seen", "u1", None), ("Seen", None, visitor), ("Seen", None, visitor)] == who(events)
    assert {"Max-Age=31536000", "Path=/", "SameSite=Lax", "Secure", "HttpOnly"} == {
        part for part in attributes if not part.startswith("expires=")
    }
    assert "Cookie" in first.headers["Vary"]


def test_a_cookie_is_as_the_app_wants_it(kind):
    """Readable for an SDK in the browser, for a domain, without https."""
    cookie = AnonymousCookie(name="ajs_anonymous_id", http_only=False, domain="shop.example", path="/seen")
    with opened(kind, url="http://shop.example", cookie=cookie) as (_, browser):
        said = browser.get("/seen").headers["Set-Cookie"].strip()

    assert said.startswith("ajs_anonymous_id=")
    assert {"Domain=shop.example", "Path=/seen"} <= {part.strip() for part in said.split(";")}
    assert "httponly" not in said.lower()
    assert "secure" not in said.lower()


def test_who_signs_in_is_stitched_and_who_signs_out_is_gone(kind):
    """The visitor's id goes with the new user's events; after a reset the browser is somebody else's."""
    with opened(kind) as (house, browser):
        browser.get("/seen")
        visitor = browser.cookies[NAME]
        browser.get("/in")
        left = browser.get("/out", {"X-User": "u1"})
        browser.get("/seen")
        events = house.events

    assert [("Seen", None, visitor), ("Came", None, visitor), ("identify", "u1", visitor)] == who(events[:3])
    assert "Max-Age=0" in left.headers["Set-Cookie"]
    assert browser.cookies[NAME] not in (None, visitor)
    assert [("Seen", None, browser.cookies[NAME])] == who(events[3:])


@pytest.mark.parametrize(("said", "is_set"), [("yes", True), ("no", False), ("other", False), ("", False)])
def test_a_cookie_needs_consent_where_it_is_asked_for(kind, said, is_set):
    """Without a yes there is no cookie, but the event is there, with what was said."""
    with opened(kind, asks_consent=True) as (house, browser):
        answer = browser.get("/seen", {"X-Consent": said})
        event = house.events[0]

    assert is_set == ("Set-Cookie" in answer.headers)
    assert event["anonymousId"]
    assert (said in ("yes", "no", "other")) == ("consent" in event["context"])


def test_a_withdrawal_takes_the_cookie_away(kind):
    """It is told under the id that it is about; then the id is gone."""
    with opened(kind, asks_consent=True) as (house, browser):
        browser.get("/seen", {"X-Consent": "yes"})
        visitor = browser.cookies[NAME]
        browser.get("/seen", {"X-Consent": "no"})
        events = house.events

    assert NAME not in browser.cookies
    assert [("Seen", None, visitor)] == who(events[1:])
    assert {"categoryPreferences": {"analytics": False}} == events[1]["context"]["consent"]


def test_do_not_track_is_respected_where_the_app_says_so(kind):
    """DNT keeps the cookie away as a setting."""
    with opened(kind, respect_dnt=True) as (_, browser):
        assert "Set-Cookie" not in browser.get("/seen", {"DNT": "1"}).headers
        assert "Set-Cookie" in browser.get("/seen").headers


def test_without_a_cookie_there_is_no_anonymous_id(kind):
    """cookie=None: events need a user."""
    with opened(kind, cookie=None) as (house, browser):
        browser.get("/seen")
        browser.get("/seen", {"X-User": "u1"})

        assert [("Seen", "u1", None)] == who(house.events)
        assert {"malformed": 1} == house.client.stats().dropped


def test_streams_are_in_the_scope_and_stay_streams(kind):
    """Events recorded while the body is made belong to the request, which ends with it."""
    with opened(kind) as (house, browser):
        answer = browser.get("/stream", {"X-User": "u1", "X-Account": "acme"})
        events = house.events

    assert "0;1;2;" == answer.text
    assert [("Streamed", "u1", None)] * 3 == who(events)
    assert ["acme"] * 3 == [event["context"]["groupId"] for event in events]
    assert assay.Scope() == assay.current_scope()


def test_providers_that_fail_never_break_a_request(kind):
    """A provider that raises (here: no header for the account) costs its own value only."""
    with opened(kind) as (house, browser):
        answer = browser.get("/seen", {"X-User": "u1"})
        event = house.events[0]

    assert 200 == answer.status_code
    assert ("u1", False) == (event["userId"], "groupId" in event["context"])


def test_requests_never_see_each_other(kind):
    """Eight browsers at once, each of its own user or none."""
    barrier = threading.Barrier(8)

    def visit(n: int) -> None:
        barrier.wait()
        for m in range(5):
            path = "/stream" if m == 2 else "/seen"
            browser.get(f"{path}?utm_source=s{n}", {"X-Account": f"a{n}", **({"X-User": f"u{n}"} if n % 2 else {})})

    with opened(kind) as (house, browser), ThreadPoolExecutor(8) as pool:
        list(pool.map(visit, range(8)))
        events = house.events

    assert 8 * 7 == len(events)
    for event in events:
        n = int(event["context"]["groupId"][1:])
        assert f"s{n}" == event["context"]["campaign"]["source"]
        assert (f"u{n}" if n % 2 else None) == event.get("userId")


@pytest.mark.parametrize("framework", ["flask", "django", "starlette", "fastapi", "celery", "gevent", "asgiref"])
def test_an_import_of_the_sdk_imports_no_framework(framework):
    """They are imported by the app's own import of an integration."""
    code = f"import sys, assay; assert {framework!r} not in sys.modules"
    assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode


TEXT = st.text(max_size=60)


@tuned(max_examples=tuned.default.max_examples * 3 // 2)
@given(
    cookie=TEXT | st.builds(f"{NAME}={{}}".format, TEXT),
    referrer=TEXT | st.builds("http://[{}".format, TEXT),
    query=TEXT | st.builds("utm_source={}&utm_medium=%ff".format, TEXT),
    agent=st.text(max_size=5_000),
)
def test_whatever_a_browser_sends_a_visit_is_opened(cookie, referrer, query, agent):
    """No header makes a request fail, an event too large, or a line of the answer end early."""
    sent = {"cookie": cookie, "referer": referrer, "user-agent": agent}
    request = Request(scheme="https", host="shop.example", path="/", query=query, header=sent.get)
    with assay.Client("http://collector.test", "key", transport=assay.testing.CapturingTransport()) as client:
        visit = Door(include_query=True).open(request, None)
        with visit.inside():
            recorded = client.track(event="Seen")
            headers = visit.headers()

    assert recorded
    assert all(text.isprintable() for header in headers for text in header)


@pytest.mark.parametrize(
    "bad",
    [{"name": "a;b"}, {"name": ""}, {"path": "/;x"}, {"domain": "a\r\nb"}, {"same_site": "None", "secure": False}],
    ids=str,
)
def test_a_cookie_that_browsers_would_refuse_is_refused_here(bad):
    """A mistake shows when the app starts."""
    with pytest.raises(assay.InvalidSetting):
        AnonymousCookie(**bad)


@pytest.mark.parametrize(
    ("value", "known"),
    [
        ("abc-123", "abc-123"),
        ("%22abc-123%22", "abc-123"),
        ("<script>", None),
        ("x" * 101, None),
        ("", None),
    ],
)
def test_only_a_well_formed_cookie_is_believed(value, known):
    """Also as older browser SDKs write it; anything else is as no cookie."""
    sent = {"cookie": f"other=1; {NAME}={value}; more=2"}
    request = Request(scheme="https", host="shop.example", path="/", query="", header=sent.get)
    visit = Door().open(request, None)

    with visit.inside():
        assert known == assay.current_scope().anonymous_id


def test_campaigns_are_read_by_segments_names():
    """utm_campaign is the campaign's name; long values are cut, and what is no query names none."""
    assert {"source": "a", "medium": "b", "name": "c", "term": "d", "content": "e", "id": "f"} == campaign(
        "utm_source=a&utm_medium=b&utm_campaign=c&utm_term=d&utm_content=e&utm_id=f&utm_other=g"
    )
    assert 200 == len(campaign("utm_source=" + "a" * 999)["source"])
    assert {} == campaign("&".join(["utm_source=a"] * 300))
