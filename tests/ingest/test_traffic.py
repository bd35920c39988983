"""Which events are a bot's, or the house's own."""

from ipaddress import ip_network
from typing import Any

import pytest

from assay_collector.ingest.traffic import TrafficRules
from builders import message, read_event

CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"
HEADLESS = CHROME.replace("Chrome/", "HeadlessChrome/")
CRAWLER = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
LIBRARY = "python-requests/2.32.3"
OFFICE = TrafficRules(internal_networks=(ip_network("192.0.2.0/24"), ip_network("2001:db8::/32")))


def mark(
    rules: TrafficRules = OFFICE, *, address: str | None = None, request: str | None = None, **context: Any
) -> Any:
    event = read_event(message(userId="ann", context=context))
    return rules.mark(event, address=address, user_agent=request)


@pytest.mark.parametrize(
    ("request_says", "message_says", "expected"),
    [
        (CHROME, CHROME, None),
        (CHROME, None, None),
        (HEADLESS, None, "bot"),
        (HEADLESS, HEADLESS, "bot"),
        (CHROME, CRAWLER, "bot"),
        (LIBRARY, None, "bot"),
        (LIBRARY, LIBRARY, "bot"),
        (None, CRAWLER, "bot"),
        (None, HEADLESS, "bot"),
        (None, LIBRARY, None),
        (None, None, None),
        (None, "", None),
        (None, 7, None),
    ],
)
def test_who_is_a_bot(request_says: str | None, message_says: Any, expected: str | None) -> None:
    """In a page, any known program is; of a server's events, only those that no customer's program caused."""
    said = {} if message_says is None else {"userAgent": message_says}

    assert expected == mark(request=request_says, **said)


@pytest.mark.parametrize(
    ("address", "context", "expected"),
    [
        ("192.0.2.9", {}, "internal"),
        ("2001:db8:7::1", {}, "internal"),
        ("198.51.100.1", {}, None),
        (None, {"ip": "192.0.2.9"}, "internal"),
        (None, {"ip": "nonsense"}, None),
        (None, {"ip": 7}, None),
        ("192.0.2.9", {"userAgent": CRAWLER}, "internal"),
        (None, {"traffic": "internal"}, None),
    ],
)
def test_who_is_of_the_house(address: str | None, context: dict[str, Any], expected: str | None) -> None:
    """Whoever comes from one of its networks, by the connection or by what a server says of its caller."""
    assert expected == mark(address=address, **context)


def test_what_is_marked_counts_only_where_that_is_set() -> None:
    """By default neither does."""
    lenient = TrafficRules(counted=frozenset({"bot"}))

    assert [True, False, False] == [OFFICE.may_score(each) for each in (None, "bot", "internal")]
    assert [True, True, False] == [lenient.may_score(each) for each in (None, "bot", "internal")]


def test_a_user_agent_of_any_length_costs_little() -> None:
    """Only its beginning is looked at."""
    assert None is mark(request="x" * 1_000_000)
    assert "bot" == mark(request=CRAWLER + "x" * 1_000_000)
