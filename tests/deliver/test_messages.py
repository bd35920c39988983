"""What a transition says to the world."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from assay.contract.times import DAY
from assay_collector.deliver import webhook_messages

from .builders import NOW, a_transition, an_endpoint

DOCS = Path(__file__).parents[2] / "docs" / "webhooks.md"
A_DAY_LATER = a_transition().effective_at + DAY
CRM, CHAT = an_endpoint("crm"), an_endpoint("chat")


def test_the_payload_is_the_documented_one() -> None:
    """The page on webhooks shows the very JSON that is sent."""
    documented = DOCS.read_text().split("```json\n")[1].split("```")[0]
    [message] = webhook_messages(a_transition(), external_id="u-17", endpoints=[CRM], now=NOW)

    assert json.loads(documented) == json.loads(message.body)
    assert ("pql.qualified", "crm", bytes(range(16)), NOW) == (
        message.type,
        message.endpoint,
        message.entity,
        message.created_at,
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ["pql.qualified"]),
        ({"step": "exited"}, ["pql.exited"]),
        ({"step": "expired"}, ["pql.expired"]),
        ({"step": "converted"}, ["pql.converted"]),
        ({"change": "corrected", "revision": 2}, ["pql.corrected"]),
        ({"step": "exited", "change": "retracted", "revision": 2}, ["pql.retracted"]),
        ({"step": "held"}, []),
        ({"cause": "definition"}, []),
        ({"cause": "definition", "change": "retracted", "revision": 2}, []),
        ({"definition": "shadow:trial-activation@2"}, []),
        ({"recorded_at": A_DAY_LATER}, ["pql.qualified"]),
        ({"recorded_at": A_DAY_LATER + 1}, []),
        ({"recorded_at": A_DAY_LATER + 1, "change": "retracted", "revision": 2}, ["pql.retracted"]),
        ({"recorded_at": A_DAY_LATER + 1, "change": "corrected", "revision": 2}, ["pql.corrected"]),
        ({"step": "held", "change": "retracted"}, []),
    ],
)
def test_the_type_follows_from_step_and_change(changes: dict[str, Any], expected: list[str]) -> None:
    """News goes by its step, revisions by what they do; waiting, old news and our own changes are no news."""
    messages = webhook_messages(a_transition(**changes), external_id=None, endpoints=[CRM], now=NOW)

    assert expected == [message.type for message in messages]


def test_how_old_news_may_be_is_for_the_endpoint_to_say() -> None:
    """A replay of last year can be announced where that is wanted."""
    old = a_transition(recorded_at=A_DAY_LATER + 1)
    patient = replace(CHAT, news_age_hours_max=24 * 400)

    assert ["chat"] == [
        message.endpoint for message in webhook_messages(old, external_id=None, endpoints=[CRM, patient], now=NOW)
    ]


def test_the_same_transition_has_the_same_message_at_any_time() -> None:
    """Deciding again, later, gives the same key and the same bytes."""
    first = webhook_messages(a_transition(), external_id=None, endpoints=[CRM, CHAT], now=NOW)
    later = webhook_messages(a_transition(), external_id=None, endpoints=[CRM, CHAT], now=NOW + 10**9)

    assert [(m.message_id, m.body) for m in first] == [(m.message_id, m.body) for m in later]


def test_whatever_sets_transitions_apart_sets_their_keys_apart() -> None:
    """Endpoint, definition, entity, episode, step and revision each make another key."""
    variants: list[dict[str, Any]] = [
        {},
        {"definition": "team-invites"},
        {"entity": bytes(16)},
        {"episode": 2},
        {"step": "exited"},
        {"revision": 2},
    ]
    keys = [
        message.message_id
        for changes in variants
        for message in webhook_messages(a_transition(**changes), external_id=None, endpoints=[CRM, CHAT], now=NOW)
    ]

    assert 2 * len(variants) == len(set(keys))
    assert all(key.startswith("msg_") and len(key) == 36 for key in keys)


def test_without_endpoints_there_are_no_messages() -> None:
    """Nobody to tell, nothing to keep."""
    assert () == webhook_messages(a_transition(), external_id=None, endpoints=[], now=NOW)
