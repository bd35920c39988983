"""The pure parts: certificates, redaction, notices, and who is named by a message that could not be read."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay_collector.identity.identifiers import hash_email
from assay_collector.identity.mentions import mentions
from assay_collector.privacy.certificates import certificate, verify
from assay_collector.privacy.notices import notices
from assay_collector.privacy.redaction import evidence_redaction, redaction
from assay_collector.store import PrivacyRequest, Told
from privacy.house import CATALOGUE, KEY
from qualify.wire import START

REQUEST = PrivacyRequest(
    request_id=b"r" * 16, kind="erase", state="notifying", subjects=(b"a" * 16,), requested_at=START, due_at=START + 1,
    by="Grace", reason="ticket 4711", counts={"events": 3},
)  # fmt: skip


def test_a_certificate_says_what_was_done_and_not_who_asked():
    """Neither the operator's name nor the reason is in it: both may be personal."""
    document = json.loads(certificate(REQUEST, {"crm": "delivered"}, key=KEY, now=START + 2))

    assert {"events": 3} == document["removed"]
    assert b"Grace" not in certificate(REQUEST, {}, key=KEY, now=START)
    assert verify(document, KEY)


@given(st.sampled_from(["request", "subjects", "removed", "notices", "finishedAt", "signature"]))
def test_any_change_of_a_certificate_shows(member):
    """Whatever is changed, and under any other key, it is no longer genuine."""
    document = json.loads(certificate(REQUEST, {}, key=KEY, now=START))

    assert not verify({**document, member: "changed"}, KEY)
    assert not verify(document, b"another key of thirty-two bytes.")
    assert not verify({name: value for name, value in document.items() if name != member}, KEY)


def test_values_are_taken_out_of_evidence_wherever_they_stand():
    """In nested conditions, scores and items; what only counts stays, and so does the verdict."""
    value = {"name": "word", "value": "zanzibar", "test": "is known", "holds": True}
    count = {"name": "made", "value": 3, "test": "at least 3", "holds": True}
    evidence = {"qualify": {"all": [count, {"any": [value]}]}, "qualified": True, "score": 4}
    redact = evidence_redaction({"d": frozenset({"made"})})

    assert {
        "qualify": {"all": [count, {"any": [{**value, "value": None}]}]},
        "qualified": True,
        "score": 4,
        "erased": True,
    } == json.loads(redact("d", json.dumps(evidence).encode()))


def test_evidence_without_values_is_left_to_the_byte():
    """What holds nobody's value is not rewritten, and what was redacted is redacted for good."""
    redact = evidence_redaction({"d": frozenset({"made"})})
    plain = b'{ "qualify": {"name": "made", "value": 3} }'
    once = redact("d", b'{"qualify":{"name":"word","value":1}}')

    assert plain == redact("d", plain)
    assert once == redact("d", once)


def test_of_an_unknown_definition_every_value_goes():
    """What a retired version counted nobody can tell any more."""
    redact = redaction(lambda: CATALOGUE, KEY).evidence

    assert b"421733" not in redact("long-gone", b'{"qualify":{"name":"made","value":421733}}')
    assert b"421733" in redact("a-made", b'{"qualify":{"name":"made","value":421733}}')


def test_words_of_consent_stay_and_others_are_hashed():
    """What was agreed to can still be shown; what somebody wrote beside it cannot."""
    redact = redaction(lambda: CATALOGUE, KEY).consent
    said = b'{"analytics":true,"state":"granted","who":"ada@engine.example","list":["denied","zanzibar"]}'
    document = json.loads(redact(said))

    assert (True, "granted", "denied") == (document["analytics"], document["state"], document["list"][0])
    assert document["who"].startswith("hash:")
    assert document["list"][1].startswith("hash:")
    assert redact(said) == redact(redact(said))


def test_a_notice_is_the_same_whenever_it_is_made():
    """One message an endpoint and id, under an idempotency key of its own."""
    told = [Told("crm", b"a" * 16, "ada"), Told("chat", b"a" * 16, "ada"), Told("crm", b"b" * 16, None)]
    first, again = notices(b"r" * 16, told, START), notices(b"r" * 16, told, START + 1)

    assert 3 == len({message.message_id for message in first})
    assert [message.message_id for message in first] == [message.message_id for message in again]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'{"userId":"ada","anonymousId":"v1"}', {("user", "ada"), ("anonymous", "v1")}),
        (b'{"userId": 17, "type": 3}', {("user", "17")}),
        (b'{"batch":[{"userId":"ada"},{"anonymousId":"v1",,,', {("user", "ada"), ("anonymous", "v1")}),
        (b'{"previousId":"old"}', {("user", "old"), ("anonymous", "old")}),
        (b'{"userId":"a\\u0064a \\"x\\""}', {("user", 'ada "x"')}),
        ('{"userId":"Zoë"}'.encode(), {("user", "Zoë")}),
        (b'{"user\\u0049d":"ada"}', {("user", "ada")}),
        (b'{"userId":"cut off', {("user", "cut off")}),
        (b'{"traits":{"email":"Ada@Engine.example"}}', {("email_hash", hash_email("ada@engine.example"))}),
        (b'{"context":{"device":{"model":"x","id":"AB-1"}}}', {("device", "ab-1")}),
        (b'{"userId":"","anonymousId":null}', set()),
        (b"\xff\x00{", set()),
    ],
)
def test_whom_a_message_names(raw, expected):
    """Whole or broken, escaped or cut off, by whatever kind of id."""
    assert expected == set(mentions(raw))


@given(st.binary(max_size=200), st.text(min_size=1, max_size=20))
def test_any_id_is_found_amid_any_garbage(garbage, value):
    """As long as the member itself is in order, what stands around it does not matter."""
    raw = garbage.replace(b'"', b"").replace(b"\\", b"") + b'"userId":' + json.dumps(value).encode() + b","

    assert ("user", value) in mentions(raw)
