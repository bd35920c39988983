"""The query API, as an admin asks it."""

from typing import Any

import pytest
from web_parts import ADMIN_TOKEN, NOW, House, dead_letter, make_house, quarantined

from assay_collector.store import ReceiptLine


def ask(house: House, path: str, method: str = "GET", **more: Any) -> Any:
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    return house.app.test_client().open(f"/v1/{path}", method=method, headers=headers, **more)


def test_a_receipt_says_where_a_message_went() -> None:
    """Every place, with its times as ISO 8601."""
    house = make_house()
    house.store.lines = [
        ReceiptLine(source="web", message_id="a/b", status="stored", received_at=NOW, at=NOW, type="track", name="E")
    ]

    assert {
        "messageId": "a/b",
        "receipts": [
            {
                "source": "web",
                "messageId": "a/b",
                "status": "stored",
                "receivedAt": "2026-03-01T09:00:00.000Z",
                "timestamp": "2026-03-01T09:00:00.000Z",
                "type": "track",
                "name": "E",
                "code": None,
                "pointer": None,
                "detail": None,
            }
        ],
    } == ask(house, "receipts/a%2Fb").json


def test_a_message_never_seen() -> None:
    """404 says that it was never received."""
    answer = ask(make_house(), "receipts/nothing")

    assert (404, "unknown_message") == (answer.status_code, answer.json["code"])


def test_the_quarantine_is_paged() -> None:
    """Newest first, by reason, each page naming the next."""
    house = make_house()
    house.store.quarantined = [quarantined(number, "invalid_id" if number % 2 else "too_deep") for number in range(5)]
    first = ask(house, "quarantine?limit=2&reason=too_deep").json
    second = ask(house, f"quarantine?limit=2&reason=too_deep&before={first['next']}").json

    assert ["m4", "m2"] == [row["messageId"] for row in first["quarantine"]]
    assert ["m0"] == [row["messageId"] for row in second["quarantine"]]
    assert second["next"] is None


def test_quarantined_bytes_are_shown_whatever_they_are() -> None:
    """Broken UTF-8 is no reason not to show it; that it may hold personal data is a reason to be asked for it."""
    house = make_house()
    house.store.quarantined = [quarantined(1, "invalid_json", b"\xff\x00{")]

    assert "\ufffd\x00{" == ask(house, "quarantine?raw=true").json["quarantine"][0]["raw"]
    assert "raw" not in ask(house, "quarantine").json["quarantine"][0]


def test_the_counts() -> None:
    """Totals, the quarantine's by reason."""
    assert {"stored": 0, "duplicates": 2, "conflicts": 1, "quarantined": {"invalid_json": 3}, "refused": {}} == ask(
        make_house(), "counts"
    ).json


def test_leads_are_paged_and_filtered() -> None:
    """By definition, with the next offset while there may be more."""
    answer = ask(make_house(), "leads?definition=hot&limit=1").json
    rest = ask(make_house(), "leads?definition=hot&limit=2&offset=1").json

    assert ([{"definition": "hot", "entity": "0"}], 1) == (answer["leads"], answer["next"])
    assert ([{"definition": "hot", "entity": "2"}], None) == (rest["leads"], rest["next"])


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("qualifications//acme//eu/", 200), ("qualifications/%2Facme%2F%2Feu%2F?kind=account", 200),
        ("qualifications//acme//eu/?kind=user", 404), ("qualifications/acme", 404),
        ("qualifications/acme?kind=robot", 400),
    ],
)  # fmt: skip
def test_an_entitys_id_is_whatever_the_product_made_it(path: str, status: int) -> None:
    """Slashes at the ends and in the middle belong to the id."""
    assert status == ask(make_house(), path).status_code


def test_dead_letters_are_listed_and_resent() -> None:
    """Resending says how many were dead."""
    house = make_house()
    house.store.letters = [dead_letter("w1"), dead_letter("w2")]
    listed = ask(house, "dead-letters?endpoint=crm").json["deadLetters"]
    resent = ask(house, "dead-letters/resend", "POST", json={"messageIds": ["w1", "w9"]})

    assert ["w1", "w2"] == [letter["messageId"] for letter in listed]
    assert {"resent": 1} == resent.json
    assert ["w2"] == [letter["messageId"] for letter in ask(house, "dead-letters").json["deadLetters"]]


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"messageIds":"w1"}', b'{"messageIds":[1]}', b"\xff"])
def test_an_order_to_resend_that_is_none(body: bytes) -> None:
    """400, with the shape that is wanted."""
    answer = ask(make_house(), "dead-letters/resend", "POST", data=body)

    assert (400, "invalid_parameter") == (answer.status_code, answer.json["code"])


@pytest.mark.parametrize(
    "path", ["leads?limit=0", "leads?limit=x", "leads?limit=-1", "leads?limit=501", "leads?offset=9999999999",
    "quarantine?before=xyz", "leads?limit=%D9%A3"],
)  # fmt: skip
def test_parameters_that_cannot_be_used(path: str) -> None:
    """400 says which, and what it may be."""
    answer = ask(make_house(), path)

    assert (400, "invalid_parameter") == (answer.status_code, answer.json["code"])


def test_answers_are_not_cached() -> None:
    """They are about people."""
    assert "no-store" == ask(make_house(), "counts").headers["Cache-Control"]


def test_a_store_that_cannot_answer() -> None:
    """503 with a Retry-After."""
    house = make_house()
    house.store.down = True
    answer = ask(house, "counts")

    assert (503, "18") == (answer.status_code, answer.headers["Retry-After"])
