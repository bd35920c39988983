"""Changing what a plan marks as personal data."""

import json
from typing import Any

import pytest

from assay.contract.plan import Plan
from assay.contract.scrubbing import DROPPED, apply, hashed, is_hashed, marks_of

KEY = b"k" * 32


def plan(*schemas: dict[str, Any], event: str = "Invited") -> Plan:
    documents = {"plan.json": b'{"name": "test"}'}
    for number, schema in enumerate(schemas):
        version = f"1-0-{number}"
        block = {"type": "track", "event": event, "version": version, "purposes": ["analytics"]}
        document = {"$schema": "https://json-schema.org/draft/2020-12/schema", "x-assay": block, **schema}
        documents[f"events/{event.lower()}/{version}.json"] = json.dumps(document).encode()
    return Plan.from_documents(documents)


def properties(**named: Any) -> dict[str, Any]:
    return {"type": "object", "properties": named}


MARKED = {"type": "string", "x-pii": "email"}


def test_marks_of_every_version_count() -> None:
    """What an old version marked is still scrubbed, and a mark on the whole means all its parts."""
    found = plan(properties(email=MARKED), properties(to=MARKED), {"type": "object", "x-pii": "other"})

    assert {("email",): "email", ("to",): "email", ("*",): "other"} == marks_of(found, "track", "Invited")
    assert {} == marks_of(found, "track", "Something Else")


@pytest.mark.parametrize(
    ("value", "path", "expected"),
    [
        ({"email": "a"}, ("email",), {"email": "x"}),
        ({"email": {"deep": 1}}, ("email",), {"email": "x"}),
        ({"people": [{"email": "a"}, {"email": "b"}, 3]}, ("people", "*", "email"),
         {"people": [{"email": "x"}, {"email": "x"}, 3]}),
        ({"people": {"k": "a", "l": None}}, ("people", "*"), {"people": {"k": "x", "l": "x"}}),
        ({"people": ["a", "b"]}, ("people", "1"), {"people": ["a", "x"]}),
        ({"other": 1}, ("email",), {"other": 1}),
        ({"people": "not a list"}, ("people", "*"), {"people": "not a list"}),
    ],
)  # fmt: skip
def test_a_rule_is_applied_to_whatever_lies_at_the_path(value: Any, path: tuple[str, ...], expected: Any) -> None:
    """Through objects, lists and stars, whatever is found there."""
    apply(value, path, lambda _: "x")

    assert expected == value


def test_what_is_left_out_leaves_the_places_of_other_items() -> None:
    """A property goes; an item becomes null."""
    value = {"email": "a", "people": ["a", "b"]}
    apply(value, ("email",), lambda _: DROPPED)
    apply(value, ("people", "*"), lambda _: DROPPED)

    assert {"people": [None, None]} == value


def test_in_doubt_what_stands_on_the_way_is_scrubbed() -> None:
    """Where a list of addresses is expected and an address found, it is one."""
    value = {"people": "ann@example.com", "none": None}
    apply(value, ("people", "*", "email"), lambda _: "x", in_doubt=True)
    apply(value, ("none", "*"), lambda _: "x", in_doubt=True)

    assert {"people": "x", "none": None} == value


def test_hashes_are_keyed_and_stable() -> None:
    """An e-mail address however written is one; another key gives another hash."""
    assert hashed("email", " Ann@Example.com", KEY) == hashed("email", "ann@example.com", KEY)
    assert hashed("name", "Ann", KEY) != hashed("name", "ann", KEY)
    assert hashed("name", "Ann", KEY) != hashed("name", "Ann", b"l" * 32)
    assert is_hashed(hashed("name", "\ud800", KEY))
    assert not is_hashed("hmac-sha256:ann@example.com")
    assert not is_hashed(None)
