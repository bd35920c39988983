"""Personal data at the door: what the plan marks is hashed or left out, whatever becomes of the message."""

import json
from typing import Any

import pytest

from assay.contract.plan import Plan
from assay.contract.scrubbing import is_hashed
from assay_collector.ingest.personal_data import DoorRules
from builders import encoded, message, read_event

KEY = b"k" * 32
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def document(type: str, event: str | None, **properties: Any) -> bytes:
    block = {"type": type, "version": "1-0-0", "purposes": ["analytics"], **({"event": event} if event else {})}
    return json.dumps({"$schema": DIALECT, "x-assay": block, "type": "object", "properties": properties}).encode()


def marked(kind: str) -> dict[str, Any]:
    return {"type": "string", "x-pii": kind}


def plan_of(**properties: Any) -> Plan:
    files = {"plan.json": b'{"name": "test"}', "events/invited/1-0-0.json": document("track", "Invited", **properties)}
    return Plan.from_documents(files)


PLAN = Plan.from_documents(
    {
        "plan.json": b'{"name": "test"}',
        "events/invited/1-0-0.json": document(
            "track", "Invited", email=marked("email"), note=marked("free_text"), plan={"type": "string"}
        ),
        "events/identify/1-0-0.json": document("identify", None, email=marked("email"), phone=marked("phone")),
    }
)


def rules(unread: Any = "drop", **actions: Any) -> DoorRules:
    return DoorRules(PLAN, actions or {"email": "hash", "phone": "drop", "free_text": "keep"}, KEY, unread=unread)


def cleaned(by: DoorRules, **fields: Any) -> Any:
    event = read_event(message(**{"userId": "ann", **fields}))
    by.clean(event)
    return event


def test_each_class_meets_its_action() -> None:
    """Hashed, dropped or kept; what is not marked stays."""
    event = cleaned(rules(), event="Invited", properties={"email": "ann@example.com", "note": "hi", "plan": "team"})
    said = cleaned(rules(), type="identify", traits={"email": "ann@example.com", "phone": "+1", "role": "admin"})

    assert ["hi", "team"] == [event.properties["note"], event.properties["plan"]]
    assert is_hashed(event.properties["email"])
    assert {"email": event.properties["email"], "role": "admin"} == said.properties


def test_equal_values_stay_equal() -> None:
    """Distinct values can still be counted, and a message that is sent again is the same."""
    first, second, other = (
        cleaned(rules(), event="Invited", properties={"email": email}).properties["email"]
        for email in ("ann@example.com", " ANN@example.com ", "bob@example.com")
    )

    assert first == second != other


def test_what_the_app_hashed_stays_as_it_is() -> None:
    """Twice is as once."""
    once = cleaned(rules(), event="Invited", properties={"email": "ann@example.com"}).properties

    assert once == cleaned(rules(), event="Invited", properties=once).properties


@pytest.mark.parametrize("type", ["track", "identify", "page"])
def test_traits_that_the_context_repeats_are_cleaned_too(type: str) -> None:
    """Some SDKs send them with every event, others send them nowhere else."""
    context = {"traits": {"email": "ann@example.com", "phone": "+1"}, "locale": "en"}
    event = cleaned(rules(), type=type, event="Unplanned", context=context)

    assert ["email"] == list(event.context["traits"])
    assert is_hashed(event.context["traits"]["email"])


def test_values_of_any_shape_are_hashed() -> None:
    """Whatever stands where an address should is taken for one."""
    email = cleaned(rules(), event="Invited", properties={"email": {"value": ["ann@example.com"]}}).properties["email"]

    assert is_hashed(email)
    assert {"email": None} == cleaned(rules(), event="Invited", properties={"email": None}).properties


def test_what_is_stored_although_it_fails_is_cleaned_in_doubt() -> None:
    """A list where an object was expected may hold the address as well."""
    by = DoorRules(plan_of(people={"type": "object", "properties": {"email": marked("email")}}), {"email": "drop"}, KEY)
    strict, doubting = (read_event(message(event="Invited", properties={"people": "ann@example.com"})) for _ in "ab")
    by.clean(strict)
    by.clean(doubting, in_doubt=True)

    assert ({"people": "ann@example.com"}, {}) == (strict.properties, doubting.properties)


def test_a_quarantined_message_is_cleaned_by_path_where_the_plan_knows_it() -> None:
    """It failed, so what stands in the place of a marked value is scrubbed in doubt."""
    raw = encoded(message(event="Invited", properties={"email": 7, "plan": 3}, context={"traits": {"phone": "+1"}}))
    kept = json.loads(rules().clean_raw(raw, "track", "Invited"))

    assert is_hashed(kept["properties"]["email"])
    assert 3 == kept["properties"]["plan"]
    assert {"traits": {}} == kept["context"]


@pytest.mark.parametrize(
    ("raw", "type", "name"),
    [
        (b'{"event":"Unplanned","properties":{"email":"ann@example.com"}}', "track", "Unplanned"),
        (b'{"event":"Invited","properties":{"email":"ann@example.com"', "track", "Invited"),
        (b'["ann@example.com"]', "track", "Invited"),
        (b'{"email":"ann@example.com"}', None, None),
    ],
)
def test_what_the_plan_cannot_read_is_not_kept_unless_that_is_set(raw: bytes, type: str, name: str) -> None:
    """Personal data may be anywhere in it."""
    assert b"" == rules().clean_raw(raw, type, name)
    assert raw == rules(unread="keep").clean_raw(raw, type, name)


def test_hashes_differ_from_those_of_identifiers_and_of_other_keys() -> None:
    """Who knows one cannot look up the other."""
    other = DoorRules(PLAN, {"email": "hash"}, b"l" * 32)
    properties = {"email": "ann@example.com"}

    assert (
        cleaned(rules(), event="Invited", properties=properties).properties
        != cleaned(other, event="Invited", properties=properties).properties
    )
