"""Consent over HTTP, with a real collector and a real receiver of its webhooks: what is refused is not sent."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from assay_collector.store import Source
from assay_collector.stores.sqlite.store import SQLiteStore
from deliver.builders import SECRET
from deliver.receiver import Receiver, receiving
from e2e.house import House, command_json, opened_house
from serving import wait_until

DEFINITION = """
pql: {id: made-two, version: 1, entity: user, stage: monetization, owner: growth}
why: Twice is no accident.
predicts: {event: Subscription Started, within: 30 days}
signals: {made: {count: Made}}
qualify: {made: at least 2}
"""
SETTINGS = """
[[webhooks]]
name = "crm"
url = "%s"
secret = "%s"
allow_private = true

[[webhooks]]
name = "product"
url = "%s"
secret = "%s"
allow_private = true
purpose = "analytics"
"""


@pytest.fixture
def crm() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def product() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def house(tmp_path: Path, crm: Receiver, product: Receiver) -> Iterator[House]:
    (tmp_path / "definitions").mkdir()
    (tmp_path / "definitions" / "made-two.yaml").write_text(DEFINITION)
    (tmp_path / "assay.toml").write_text(SETTINGS % (crm.url, SECRET, product.url, SECRET))
    with opened_house(tmp_path, "--definitions", "definitions") as house:
        yield house


def send(house: House, path: str, body: dict[str, Any], **headers: str) -> list[dict[str, Any]]:
    """Each message's fate."""
    headers = {"Prefer": "return=representation", **headers}
    answer = httpx.post(f"{house.url}{path}", auth=(house.key, ""), json=body, headers=headers, timeout=30)
    assert 200 == answer.status_code, answer.text
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


def made(user: str, n: int = 2) -> dict[str, Any]:
    return {"batch": [{"type": "track", "event": "Made", "userId": user, "messageId": f"{user}-{i}"} for i in range(n)]}


def heard(receiver: Receiver) -> list[tuple[str, str]]:
    """What a receiver was told of whom."""
    bodies = [json.loads(request.body) for request in receiver.received]
    return [(body["type"], body["data"]["entity"]["externalId"]) for body in bodies]


def test_of_who_says_gpc_nothing_is_sent_for_sale(house: House, crm: Receiver, product: Receiver):
    """Said as an anonymous visitor, it binds the known person; it says nothing of other purposes."""
    send(house, "/v1/page", {"anonymousId": "v1", "messageId": "p1"}, **{"Sec-GPC": "1"})
    send(house, "/v1/identify", {"userId": "ada", "anonymousId": "v1", "messageId": "i1"})
    send(house, "/v1/batch", made("ada"))
    send(house, "/v1/batch", made("bob"))
    wait_until(lambda: len(crm.received) >= 1 and len(product.received) >= 2)
    house.wait_until_decided()
    wait_until(lambda: outbox_states(house) == {"withheld": 1, "delivered": 3})

    assert [("pql.qualified", "bob")] == heard(crm)
    assert {("pql.qualified", "ada"), ("pql.qualified", "bob")} == set(heard(product))
    assert b"ada" not in b"".join(request.body for request in crm.received)
    (person,) = house.ask("/v1/consent-log/ada")["people"]
    assert {"sales_contact": False, "third_party_share": False} == {
        purpose: each["allowed"] for purpose, each in person["purposes"].items()
    }
    assert {"ada", "bob"} == {lead["id"] for lead in house.ask("/v1/leads")["leads"]}


def outbox_states(house: House) -> dict[str, int]:
    with closing(SQLiteStore(house.folder / "assay.db")) as store, store.database.reading() as connection:
        return dict(connection.execute("SELECT state, count(*) FROM outbox GROUP BY state").fetchall())


def test_a_withdrawal_takes_the_lead_back_and_says_what_was_lost(house: House, product: Receiver):
    """The lead is gone, its history has the audit row, and the endpoint whose purpose is still allowed hears of it."""
    send(house, "/v1/batch", made("ada"))
    wait_until(lambda: [("pql.qualified", "ada")] == heard(product))
    send(house, "/v1/consent", {"userId": "ada", "messageId": "c1", "purposes": {"pql_scoring": "withdrawn"}})
    wait_until(lambda: len(product.received) == 2)

    assert ("pql.retracted", "ada") == heard(product)[1]
    assert [] == house.ask("/v1/leads")["leads"]
    (entity,) = house.ask("/v1/qualifications/ada")["entities"]
    assert "criterion lost: consent (made at least 2: was 2, is 0)" == entity["definitions"][0]["history"][-1]["audit"]
    assert "withdrawn" == command_json(house.folder, "consent", "show", "ada")["people"][0]["log"][0]["state"]


def test_a_dropped_message_can_be_asked_for(house: House):
    """By who sent it, by its receipt, and why."""
    with closing(SQLiteStore(house.folder / "assay.db")) as store:
        store.keyring.put_source(Source(id="web", name="web", on_deny={"analytics": "drop"}), 1)
    no = {"userId": "ada", "event": "Made", "messageId": "no"}
    denied = {"context": {"consentManagement": {"allowedConsentIds": [], "deniedConsentIds": ["analytics"]}}}
    wait_until(lambda: send(house, "/v1/track", {**no, **denied})[0]["status"] == "refused")

    assert "consent_denied" == house.ask("/v1/receipts/no")["receipts"][0]["code"]
    (answer,) = house.ask("/v1/events/no/consent")["answers"]
    assert (False, "denied", "context.consentManagement") == (
        answer["stored"],
        answer["purposes"]["analytics"]["said"],
        answer["purposes"]["analytics"]["signal"],
    )
    assert answer == command_json(house.folder, "consent", "why", "no")["answers"][0]
    assert house.counts()["refused"]["consent_denied"] >= 1


def test_questions_about_consent_need_an_admin_token(house: House):
    """A write key is not enough; what never came is not found."""
    for path in ("/v1/events/x/consent", "/v1/consent-log/x"):
        assert 401 == httpx.get(f"{house.url}{path}", timeout=30).status_code
        key = {"Authorization": f"Bearer {house.key}"}
        assert 403 == httpx.get(f"{house.url}{path}", headers=key, timeout=30).status_code
        assert 404 == house.get(path).status_code
