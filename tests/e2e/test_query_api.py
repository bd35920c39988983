"""
One story through a real process: the simulated product lives, and every door tells the same of it, which is the truth.

Keys, plan, definitions and the webhook are set up as an operator does it: by commands and a TOML file.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from examples.planboard import DEFAULT_NOW, Entity, Message, Simulation, build
from examples.planboard.drive import deliver
from standardwebhooks import Webhook

from assay.contract.times import parse_instant
from assay_collector.stores.sqlite.store import SQLiteStore
from deliver.receiver import Received, receiving
from serving import assay, serving, wait_until, write_key

from .house import House, command_json
from .peers import ROOT

# All in one process of a parallel run, so that the story happens once.
pytestmark = pytest.mark.xdist_group("story")

SECRET = "whsec_" + "A" * 32
CONFIG = f"""
plan = "{ROOT}/schemas/planboard/plan"
definitions = "{ROOT}/schemas/planboard/definitions"

[[webhooks]]
name = "crm"
url = "%s"
secret = "{SECRET}"
allow_private = true
news_age_hours_max = 10000  # the simulation's three months are told at once
"""
PAGE = 500


@dataclass(frozen=True)
class Story:
    """What was sent, where it went, and what the webhook's receiver heard."""

    simulation: Simulation
    house: House
    heard: list[Received]

    def leads(self) -> list[dict[str, Any]]:
        """Every lead of the API, page by page."""
        leads: list[dict[str, Any]] = []
        while page := self.house.ask("/v1/leads", limit=PAGE, offset=len(leads))["leads"]:
            leads += page
        return leads

    def first(self, bad: str | None) -> Message:
        """A message that must be quarantined for this reason; None: a good one that is sent once."""
        sent = Counter(message.message_id for message in self.simulation.messages)
        return next(m for m in self.simulation.messages if m.bad == bad and sent[m.message_id] == 1)


@pytest.fixture(scope="module")
def story(tmp_path_factory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("story")
    simulation = build(seed=3, scale=0.1, now=DEFAULT_NOW, as_of=time.time_ns() // 1000)
    with receiving() as receiver:
        (folder / "assay.toml").write_text(CONFIG % receiver.url)
        key = write_key(folder)
        token = assay(folder, "keys", "create", "--kind", "admin").stdout.strip()
        with serving(folder) as collector:
            deliver(simulation, collector.url, key)
            house = House(folder, key, token, collector)
            house.wait_until_decided()
            wait_until(lambda: _waiting_messages(house) == 0, 30)
            yield Story(simulation, house, receiver.received)


def _waiting_messages(house: House) -> int:
    with closing(SQLiteStore(house.folder / "assay.db")) as store:
        return store.outbox.pending()


def test_the_leads_are_the_planted_truth(story):
    """Who qualifies, for what and since when: as planted, by the API and by the command alike."""
    leads = story.leads()

    found: defaultdict[str, dict[Entity, int]] = defaultdict(dict)
    for lead in leads:
        found[lead["definition"]][Entity(lead["kind"], lead["id"])] = parse_instant(lead["since"])
    assert [] == story.simulation.differences(found)
    assert sum(map(len, story.simulation.truth.values())) == len(leads)
    assert leads == command_json(story.house.folder, "leads", "--limit", "10000")


def test_the_leads_of_one_definition(story):
    """Asked for one definition, both doors tell of that one only."""
    leads = story.house.ask("/v1/leads", definition="workspace-activated", limit=PAGE)["leads"]

    assert len(story.simulation.truth["workspace-activated"]) == len(leads)
    assert {"workspace-activated"} == {lead["definition"] for lead in leads}
    assert leads == command_json(story.house.folder, "leads", "--definition", "workspace-activated")


def test_every_message_is_counted_where_it_went(story):
    """Sent = stored + duplicates + quarantined by reason, as planted, by the API and by the command."""
    expected = story.simulation.expected_counts

    counts = story.house.counts()

    assert counts == command_json(story.house.folder, "counts")
    assert (expected.stored, 0) == (counts["stored"], counts["conflicts"])
    assert expected.quarantined == counts["quarantined"]
    # A client whose answer was slow sends again; such copies come on top of the planted ones.
    assert expected.duplicates <= counts["duplicates"]


@pytest.mark.parametrize("definition", ["trial-activation", "team-invites"])
def test_a_qualification_is_explained(story, definition):
    """Somebody qualified: since when, the evidence, the ledger; the command says the same."""
    entity, since = next(iter(story.simulation.truth[definition].items()))

    told = story.house.ask(f"/v1/qualifications/{entity.id}", kind=entity.kind)

    [verdict] = [each for each in told["entities"][0]["definitions"] if each["definition"] == definition]
    assert ("qualified", True) == (verdict["status"], verdict["recorded"])
    assert since == parse_instant(verdict["since"])
    assert verdict["evidence"]["qualify"]["holds"]
    assert "qualified" == verdict["history"][-1]["step"]
    listed = command_json(story.house.folder, "explain", entity.id, "--kind", entity.kind)
    assert _without_clock(told) == _without_clock(listed)


def test_everybody_is_explained_alike_by_both_doors(story):
    """Whoever a scene was planted for, qualified or not: evidence, what is missing, history and causes are the same."""
    for plant in story.simulation.plants[::25]:
        told = story.house.ask(f"/v1/qualifications/{plant.entity.id}", kind=plant.entity.kind)
        listed = command_json(story.house.folder, "explain", plant.entity.id, "--kind", plant.entity.kind)

        assert _without_clock(told) == _without_clock(listed)


def test_who_is_near_is_told_alike_by_both_doors(story):
    """With what is missing, the nearest first."""
    near: list[dict[str, Any]] = []
    page: dict[str, Any] = {"next": ""}
    while page["next"] is not None:
        page = story.house.ask("/v1/leads", near="true", after=page["next"])
        near += page["near"]
    near.sort(key=lambda each: -each["near"])

    assert near == command_json(story.house.folder, "leads", "--near")
    assert {"team-messaging-depth"} == {each["definition"] for each in near}
    assert all(each["missing"]["words"] for each in near)


def test_nobody_is_explained_as_nobody(story):
    """An id that was never seen is a 404 in JSON, and a refusal by the command."""
    answer = story.house.get("/v1/qualifications/nobody-of-this-name")

    assert (404, "unknown_entity") == (answer.status_code, answer.json()["code"])
    assert 0 != assay(story.house.folder, "explain", "nobody-of-this-name").returncode


def test_a_receipt_says_where_a_message_went(story):
    """A good message is stored under its name; a bad one is quarantined, with reason and place."""
    good, bad = story.first(None), story.first("schema_violation")

    [stored] = story.house.ask(f"/v1/receipts/{good.message_id}")["receipts"]
    [quarantined] = story.house.ask(f"/v1/receipts/{bad.message_id}")["receipts"]

    assert ("stored", "web", good.body["type"]) == (stored["status"], stored["source"], stored["type"])
    assert good.at == parse_instant(stored["timestamp"])
    assert ("quarantined", "schema_violation") == (quarantined["status"], quarantined["code"])
    assert quarantined["pointer"].startswith(("/properties", "/traits"))


def test_the_quarantine_is_paged(story):
    """Page by page, everything in quarantine is told once, with its reason."""
    found: list[dict[str, Any]] = []
    before: dict[str, str] = {}
    while True:
        page = story.house.ask("/v1/quarantine", limit=7, **before)
        found += page["quarantine"]
        if page["next"] is None:
            break
        before = {"before": page["next"]}

    assert story.simulation.expected_counts.quarantined == Counter(each["reason"] for each in found)
    listed = command_json(story.house.folder, "quarantine", "--limit", "10000")
    assert [each["id"] for each in listed] == [each["id"] for each in found]
    assert len(found) == len({each["id"] for each in found})


def test_the_webhook_hears_of_every_lead_once(story):
    """Each lead is announced by one message whose signature the receiver's library accepts."""
    payloads = [Webhook(SECRET).verify(each.body, each.headers) for each in story.heard]
    ids = Counter(each.headers["webhook-id"] for each in story.heard)

    assert {1} == set(ids.values())
    # What was said last of each step, by a receiver that takes every message at its word.
    said: dict[tuple[str, str, int, str], dict[str, Any]] = {}
    for payload in payloads:
        key = (*_lead_of(payload), payload["data"]["episode"], payload["data"]["step"])
        if key not in said or payload["data"]["revision"] > said[key]["revision"]:
            said[key] = payload["data"]
    stand = {key for key, data in said.items() if data["change"] != "retracted"}
    ended = {key[:3] for key in stand if key[3] in ("converted", "exited", "expired")}
    began = Counter(key[:2] for key in stand if key[3] == "qualified" and key[:3] not in ended)
    assert Counter((lead["definition"], lead["entity"]) for lead in story.leads()) == began


def test_an_announcement_agrees_with_the_lead(story):
    """The last message about a lead has its instant, its id in the product, and its evidence."""
    last: dict[tuple[str, str], dict[str, Any]] = {}
    for each in story.heard:
        payload = Webhook(SECRET).verify(each.body, each.headers)
        last[_lead_of(payload)] = payload["data"]

    for lead in story.leads():
        said = last[lead["definition"], lead["entity"]]
        assert (lead["since"], lead["id"]) == (said["effectiveAt"], said["entity"]["externalId"])
        assert lead["evidence"] == said["evidence"]


@pytest.mark.parametrize("path", ["leads", "counts", "quarantine", "receipts/m1", "qualifications/ann"])
def test_only_an_admin_token_may_ask(story, path):
    """Nobody gets a 401, a write key a 403."""
    url = f"{story.house.url}/v1/{path}"

    assert 401 == httpx.get(url).status_code
    assert 403 == httpx.get(url, headers={"Authorization": f"Bearer {story.house.key}"}).status_code


def _without_clock(told: dict[str, Any]) -> dict[str, Any]:
    """What is said as of the moment of asking, without that moment."""
    for entity in told["entities"]:
        for verdict in entity["definitions"]:
            verdict.get("now", {}).pop("asOf", None)
            if verdict["status"] != "qualified":
                del verdict["evidence"]["asOf"]
    return told


def _lead_of(payload: dict[str, Any]) -> tuple[str, str]:
    return payload["data"]["definition"], payload["data"]["entity"]["id"]
