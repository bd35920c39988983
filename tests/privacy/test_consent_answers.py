"""Why was this stored, and where does somebody stand: one question, one answer, in words."""

from collections.abc import Iterator

import pytest

from assay_collector.pql.definition import Catalogue
from assay_collector.privacy.consent import ConsentReader
from assay_collector.store import Source
from qualify.house import IDENTIFY, House, opened
from qualify.wire import NOW, START, identify, track

ASKING = Source(id="asking", name="a", consent={"pql_scoring": "opt_in", "enrichment": "exempt"})
DROPPING = Source(id="dropping", name="d", on_deny={"analytics": "drop"})


@pytest.fixture(scope="module")
def built() -> Iterator[House]:
    with opened(Catalogue()) as house:
        for source in (ASKING, DROPPING):
            house.store.keyring.put_source(source, START)
        yield house


@pytest.fixture
def house(built: House) -> House:
    """An empty collector with sources that ask and that drop."""
    with built.store.database.transaction() as connection:
        versions = connection.execute("SELECT * FROM source_versions").fetchall()
    built.clear()
    with built.store.database.transaction() as connection:
        connection.executemany("INSERT INTO source_versions VALUES (?, ?, ?)", versions)
    return built


def reader(house: House) -> ConsentReader:
    return ConsentReader(house.store, IDENTIFY, lambda: NOW)


def why(house: House, message_id: str) -> dict[str, object]:
    found = reader(house).why(message_id)
    assert found is not None
    (answer,) = found["answers"]
    return answer


def test_an_event_says_by_which_word_and_which_policy_it_was_decided(house: House):
    """Its own words with their signal and raw object, silence with the source's policy."""
    said = {"categoryPreferences": {"pql_scoring": True}, "banner": 7}
    house.receive([{**track("Made", START, "ada"), "messageId": "m1", "context": {"consent": said}}], source=ASKING)
    answer = why(house, "m1")

    assert {"said": "granted", "signal": "context.consent", "known": None, "policy": "opt_in", "allowed": True} == (
        answer["purposes"]["pql_scoring"]
    )
    assert ("opt_out", "exempt") == tuple(answer["purposes"][p]["policy"] for p in ("analytics", "enrichment"))
    assert ({"context.consent": said}, True, None) == (answer["evidence"], answer["scored"], answer["action"])
    assert (
        "pql_scoring: the message said granted, by the consent manager's answer in the message (context.consent); "
        in (" ".join(answer["words"]))
    )


def test_an_event_that_says_nothing_was_decided_by_its_sources_policy(house: House):
    """Of a source without settings the default; it costs the event nothing."""
    house.receive([{**track("Made", START, "ada"), "messageId": "m1"}])
    house.receive([{**track("Made", START, "ada"), "messageId": "m2"}], source=ASKING)
    plain, asked = why(house, "m1"), why(house, "m2")

    assert (None, True, "opt_out") == (plain["consentId"], plain["scored"], plain["purposes"]["pql_scoring"]["policy"])
    assert (False, ["pql_scoring"]) == (asked["scored"], asked["awaits"])
    assert "pql_scoring: nothing was said, and by the source's policy opt_in who has not agreed refuses" in (
        " ".join(asked["words"])
    )


def test_the_settings_that_held_then_are_told_not_those_of_today(house: House):
    """Each change of a source is on record."""
    house.receive([{**track("Made", START, "ada"), "messageId": "m1"}], now=NOW, source=Source(id="app", name="app"))
    house.store.keyring.put_source(Source(id="app", name="app", consent={"analytics": "opt_in"}), NOW + 1)
    house.receive([{**track("Made", START, "ada"), "messageId": "m2"}], now=NOW + 2)

    assert ["opt_out", "opt_in"] == [why(house, id)["purposes"]["analytics"]["policy"] for id in ("m1", "m2")]
    house.store.keyring.put_source(Source(id="app", name="app"), NOW + 3)


def test_a_dropped_event_says_why_and_quotes_nothing(house: House):
    """Neither its type nor its evidence is kept with it."""
    no = {**track("Made", START, "ada"), "messageId": "no"}
    house.receive([{**no, "context": {"consent": {"categoryPreferences": {"analytics": False}}}}], source=DROPPING)
    answer = why(house, "no")

    assert (False, "drop", None, {}) == (answer["stored"], answer["action"], answer["type"], answer["evidence"])
    assert not answer["purposes"]["analytics"]["allowed"]
    assert "It was dropped: nothing is kept of it but that it came." == answer["words"][-1]


def test_a_message_that_never_came_has_no_answer(house: House):
    """Nor has one that is in the quarantine."""
    assert (None, None) == (reader(house).why("never"), reader(house).show("nobody"))


def test_where_a_person_stands_follows_from_all_their_ids(house: House):
    """By whichever of them it is asked for; with every line of the log."""
    house.take_in(identify(START, "ada", anon="v1"))
    house.take_in({**track("Made", START, anon="v1"), "context": {"gpc": True}})
    statement = {"type": "consent", "messageId": "c1", "userId": "ada", "purposes": {"sales_contact": True}}
    house.take_in(
        {**statement, "at": "2026-03-03T00:00:00Z", "legalBasis": "contract", "policyVersion": 3, "ttlSeconds": 60}
    )
    by_user, by_browser = reader(house).show("ada"), reader(house).show("v1")
    assert by_user is not None
    assert by_browser is not None
    (person,) = by_user["people"]

    assert by_user["people"] == by_browser["people"]
    assert {"sales_contact": ("denied", False), "third_party_share": ("denied", False)} == {
        purpose: (each["state"], each["allowed"]) for purpose, each in person["purposes"].items()
    }
    assert ("contract", "3", "2026-03-03T00:01:00.000Z") == tuple(
        person["log"][-1][name] for name in ("legalBasis", "policyVersion", "expiresAt")
    )
