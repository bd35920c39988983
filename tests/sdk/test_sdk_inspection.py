"""Between the call and the queue: the app's edits, the plan's check, and scrubbing, each of which fails closed."""

import json
import subprocess
import sys
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import assay
from assay import Client
from assay.contract.ids import dedupe_id
from assay.contract.plan import Plan
from assay.testing import CapturingTransport

URL = "http://collector.test"
KEY = "sixteen bytes or more"


def document(name: str, version: str, schema: dict[str, Any], **block: Any) -> tuple[str, bytes]:
    """An event of the plan."""
    about = {"version": version, "owner": "qa", "description": "An event.", "purposes": ["analytics"], **block}
    content = {"$schema": "https://json-schema.org/draft/2020-12/schema", "x-assay": about, "type": "object", **schema}
    return f"events/{name}/{version}.json", json.dumps(content).encode()


CONTACT = {"type": "object", "properties": {"email": {"x-pii": "email"}, "label": {"type": "string"}}}
PLAN = Plan.from_documents(
    dict(
        [
            ("plan.json", b'{"name": "test", "description": "A test.", "owner": "qa"}'),
            document(
                "signed-up",
                "1-0-0",
                {"properties": {"mail": {"type": "string", "x-pii": "email"}, "seats": {"type": "integer"}}},
                type="track",
                event="Signed Up",
            ),
            document(
                "signed-up",
                "2-0-0",
                {
                    "required": ["email"],
                    "properties": {
                        "email": {"type": "string", "pattern": "@", "x-pii": "email"},
                        "name": {"type": "string", "x-pii": "name"},
                        "ip/v4": {"type": "string", "x-pii": "ip"},
                        "seats": {"type": "integer"},
                        "contacts": {"type": "array", "items": CONTACT},
                        "teams": {"type": "object", "additionalProperties": CONTACT},
                    },
                },
                type="track",
                event="Signed Up",
            ),
            document("identify", "1-0-0", {"properties": {"email": {"x-pii": "email"}}}, type="identify"),
        ]
    )
)
GOOD = {"email": "ada@example.com"}


def sent(properties: dict[str, Any], **settings: Any) -> tuple[list[dict[str, Any]], assay.Stats]:
    """What becomes of one sign-up."""
    transport = CapturingTransport()
    with Client(URL, "key", transport=transport, **settings) as client:
        client.track("u1", "Signed Up", properties)
        client.flush()
        return transport.events, client.stats()


# --- modes ----------------------------------------------------------------------------------------------------------


def test_an_invalid_event_is_sent_with_a_mark_for_the_quarantine():
    """In the mode ``quarantine``: the verdict and the plan's revision, beside our library in the context."""
    [event], stats = sent({"email": 7}, plan=PLAN, on_invalid="quarantine")
    [good], _ = sent(GOOD, plan=PLAN, on_invalid="quarantine")

    assert {"verdict": "invalid", "plan": PLAN.revision} == event["context"]["quarantine"]
    assert "assay-python" == event["context"]["library"]["name"]
    assert ({"email": 7}, 1) == (event["properties"], stats.delivered)
    assert "quarantine" not in good["context"]


def test_an_invalid_event_can_be_dropped():
    """In the mode ``drop``: counted and told, not raised."""
    errors: list[assay.AssayError] = []
    events, stats = sent({"email": 7}, plan=PLAN, on_invalid="drop", on_error=errors.append)

    assert ([], {"invalid": 1}) == (events, dict(stats.dropped))
    assert ["invalid"] == [error.verdict for error in errors if isinstance(error, assay.PlanViolation)]


# --- before_send ----------------------------------------------------------------------------------------------------


def test_before_send_may_edit():
    """It gets the event as it would be sent, and what it returns is sent under the same id."""
    seen: list[dict[str, Any]] = []

    def edit(event: dict[str, Any]) -> dict[str, Any]:
        seen.append(json.loads(json.dumps(event)))
        event["properties"]["seats"] = 3
        return {**event, "messageId": "other", "unknown": 1}

    properties = {**GOOD, "ratio": float("nan")}
    [event], _ = sent(properties, before_send=edit)

    assert {**GOOD, "ratio": None} == seen[0]["properties"]
    assert {**GOOD, "ratio": None, "seats": 3} == event["properties"]
    assert seen[0]["messageId"] == event["messageId"]
    assert seen[0]["timestamp"] == event["timestamp"]
    assert "unknown" not in event
    assert "seats" not in properties


def test_before_send_may_drop():
    """None means: do not send it. That is no error, also not in the mode ``raise``."""
    events, stats = sent(GOOD, before_send=lambda _: None, plan=PLAN, on_invalid="raise")

    assert ([], {"before_send": 1}) == (events, dict(stats.dropped))


def failing(_: Any) -> Any:
    raise RuntimeError("ada@example.com")


@pytest.mark.parametrize("mode", ["warn", "raise"])
@pytest.mark.parametrize(
    "edit",
    [
        failing,
        lambda event: "event",
        lambda event: {},
        lambda event: {**event, "type": "page"},
        lambda event: {**event, "userId": None},
        lambda event: {**event, "event": ""},
    ],
    ids=["raises", "text", "nothing", "another type", "nobody", "no name"],
)
def test_before_send_fails_closed(edit, mode, caplog):
    """What it did not clear is not sent, the app hears nothing of it, and the log nothing of the event."""
    events, stats = sent(GOOD, before_send=edit, on_invalid=mode)

    assert ([], {"before_send_failed": 1}) == (events, dict(stats.dropped))
    assert "reason=before_send_failed" in caplog.text
    assert "ada@" not in caplog.text


def test_what_before_send_returns_is_what_the_plan_judges():
    """So it can mend an event."""
    [event], _ = sent({}, before_send=lambda event: {**event, "properties": GOOD}, plan=PLAN, on_invalid="raise")

    assert GOOD == event["properties"]


@given(st.recursive(st.none() | st.floats() | st.text() | st.binary(), lambda inner: st.dictionaries(st.text(), inner)))
def test_whatever_before_send_returns_the_counts_add_up(result):
    """It is dropped for a reason, or delivered."""
    _, stats = sent(GOOD, before_send=lambda event: {**event, "properties": result} if result else result)

    assert 1 == stats.tracked == stats.delivered + sum(stats.dropped.values())


# --- scrubbing ------------------------------------------------------------------------------------------------------


def test_personal_data_is_scrubbed_by_its_class():
    """At every place that the plan marks, in every version of the event; nothing else is touched."""
    properties = {
        "email": " Ada@Example.com",
        "mail": "ada@example.com",
        "name": "Ada",
        "ip/v4": "10.1.2.3",
        "seats": 3,
        "contacts": [{"email": "bob@example.com", "label": "x"}, {"label": "y"}],
        "teams": {"core": {"email": "ada@example.com"}},
    }
    given_properties = json.loads(json.dumps(properties))
    rules = {"email": "hash", "name": "drop", "ip": lambda ip: ip.rpartition(".")[0] + ".0"}
    [event], _ = sent(properties, plan=PLAN, on_invalid="raise", scrub=rules, scrub_key=KEY)
    scrubbed = event["properties"]

    assert given_properties == properties
    assert scrubbed["email"] == scrubbed["mail"] == scrubbed["teams"]["core"]["email"]
    assert scrubbed["email"].startswith("hmac-sha256:")
    assert "name" not in scrubbed
    assert ("10.1.2.0", 3) == (scrubbed["ip/v4"], scrubbed["seats"])
    assert [{"email", "label"}, {"label"}] == [set(contact) for contact in scrubbed["contacts"]]
    assert "example" not in json.dumps(event)


def test_a_hash_is_the_apps_own():
    """Documented, so that others can compute it; another key gives another hash."""
    import hashlib
    import hmac

    expected = hmac.new(KEY.encode(), b"ada@example.com", hashlib.sha256).hexdigest()
    [event], _ = sent(GOOD, plan=PLAN, scrub={"email": "hash"}, scrub_key=KEY)
    [other], _ = sent(GOOD, plan=PLAN, scrub={"email": "hash"}, scrub_key=KEY + "!")

    assert f"hmac-sha256:{expected}" == event["properties"]["email"] != other["properties"]["email"]


def test_traits_are_scrubbed_and_validation_can_be_off():
    """Scrubbing needs the plan, not its check."""
    transport = CapturingTransport()
    with Client(URL, "key", plan=PLAN, on_invalid="off", scrub={"email": "drop"}, transport=transport) as client:
        client.identify("u1", {"email": "ada@example.com", "plan": "pro"})

    assert {"plan": "pro"} == transport.events[0]["traits"]


def test_what_cannot_be_scrubbed_is_not_sent(caplog):
    """A function that raises drops the event, and its error is told by its class only."""
    events, stats = sent(GOOD, plan=PLAN, scrub={"email": failing})

    assert ([], {"scrub_failed": 1}) == (events, dict(stats.dropped))
    assert "RuntimeError" in caplog.text
    assert "ada@" not in caplog.text


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"scrub": {"email": "drop"}}, "scrub"),
        ({"plan": PLAN, "scrub": {"mail": "drop"}}, "scrub"),
        ({"plan": PLAN, "scrub": {"email": "blank"}}, "scrub"),
        ({"plan": PLAN, "scrub": {"email": "hash"}}, "scrub_key"),
        ({"plan": PLAN, "scrub": {"email": "hash"}, "scrub_key": b"short"}, "scrub_key"),
        ({"before_send": "edit"}, "before_send"),
    ],
)
def test_a_rule_that_cannot_work_is_told_at_once(settings, name):
    """Before anything is sent unscrubbed."""
    with pytest.raises(assay.InvalidSetting) as raised:
        Client(URL, "key", **settings)

    assert name == raised.value.name


# --- dedupe_key -----------------------------------------------------------------------------------------------------


def test_a_dedupe_key_makes_the_message_id():
    """The documented one, in this process and in every other."""
    transport = CapturingTransport()
    with Client(URL, "key", transport=transport) as client:
        first = client.track("u1", "Invoice Paid", dedupe_key="invoice:42:paid")
        assert first == client.track("u1", "Invoice Paid", dedupe_key="invoice:42:paid")
        assert "own" == client.track("u1", "Invoice Paid", message_id="own", dedupe_key="invoice:42:paid")
        assert client.group("u1", "acme", dedupe_key="x") == client.page("u1", dedupe_key="x")
        assert client.track("u1", "Odd", dedupe_key="\ud800")
    elsewhere = subprocess.run(
        [sys.executable, "-c", "from assay.contract.ids import dedupe_id; print(dedupe_id('invoice:42:paid'))"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert first == elsewhere.stdout.strip() == dedupe_id("invoice:42:paid")
    assert first == str(uuid.uuid5(uuid.NAMESPACE_URL, "assay:dedupe:invoice:42:paid"))
    assert "97608191-5f97-5389-a174-0d01fd689ada" == first
