"""
Privacy at the door, through a real process: what the plan marks, and where people were, is in no file of the collector.
"""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving import assay

from .house import House, opened_house, stored_events

EMAIL, PHONE, ADDRESS = "ann.example@mail.example", "+491700000000", "203.0.113.77"
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"
HEADLESS = CHROME.replace("Chrome/", "HeadlessChrome/")
CONFIG = """
plan = "plan"
definitions = "definitions"
internal_networks = ["192.0.2.0/24"]
proxy_hops = 1

[personal_data]
email = "hash"
phone = "drop"
"""
INVITED = """
pql: {id: inviting, version: 1, entity: user, stage: activation, owner: growth}
why: Who invites two people means it.
predicts: {event: Subscription Started, within: 30 days}
signals: {invited: {distinct: Invited, of: email}, seen: {count: Seen}}
qualify: {any: [{invited: at least 2}, {seen: at least 1}]}
"""


def schema(type: str, event: str | None = None, **properties: Any) -> str:
    block = {"type": type, "version": "1-0-0", "purposes": ["analytics"], "owner": "growth", "description": "d"}
    return json.dumps(
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "x-assay": {**block, **({"event": event} if event else {})},
            "type": "object",
            "properties": properties,
            "additionalProperties": False,
        }
    )


def write(folder: Path) -> None:
    """What an operator sets up."""
    email = {"type": "string", "minLength": 6, "x-pii": "email"}
    files = {
        "assay.toml": CONFIG,
        "plan/plan.json": '{"name": "test"}',
        "plan/events/invited/1-0-0.json": schema("track", "Invited", email=email, n={"type": "integer"}),
        "plan/events/seen/1-0-0.json": schema("track", "Seen"),
        "plan/events/started/1-0-0.json": schema("track", "Subscription Started"),
        "plan/events/identify/1-0-0.json": schema("identify", email=email, phone={"type": "string", "x-pii": "phone"}),
        "definitions/inviting.yaml": INVITED,
    }
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


@pytest.fixture
def house(tmp_path):
    write(tmp_path)
    with opened_house(tmp_path) as house:
        yield house


def send(house: House, *messages: dict[str, Any], body: bytes | None = None, **headers: str) -> Any:
    response = httpx.post(
        f"{house.url}/v1/batch",
        content=json.dumps({"batch": messages}) if body is None else body,
        headers={
            "Prefer": "return=representation",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        },
        auth=(house.key, ""),
        timeout=30,
    )
    return [result["status"] for result in response.json().get("results", [])]


def message(id: str, type: str = "track", **fields: Any) -> dict[str, Any]:
    return {"type": type, "messageId": id, "userId": "u-1", "timestamp": "2026-03-02T09:00:00Z", **fields}


def invited(id: str, email: Any, **fields: Any) -> dict[str, Any]:
    return message(id, event="Invited", properties={"email": email}, **fields)


def everything(folder: Path) -> bytes:
    """Every byte that the collector wrote."""
    return b"".join(path.read_bytes() for path in folder.iterdir() if path.name.startswith("assay.db"))


def test_no_marked_value_and_no_full_address_is_written_anywhere(house, capfd):
    """Events, traits, duplicates, conflicts, quarantine and bodies that nobody can read; the log says none either."""
    context = {"ip": ADDRESS, "traits": {"email": EMAIL, "phone": PHONE}}
    traits = {"email": EMAIL, "phone": PHONE}
    sent = [
        invited("m1", EMAIL, context=context),
        invited("m1", EMAIL, context=context),
        invited("m1", EMAIL + ".uk", context=context),
        message("m2", "identify", traits=traits),
        message("m3", "identify", context={"traits": traits}),
        invited("m4", [EMAIL], context=context),
        {**invited("m5", EMAIL, context=context), "timestamp": "never"},
        message("m6", event="Unplanned", properties={"email": EMAIL}, context=context),
        message("m7", event="Invited", properties={"email": EMAIL, "n": "three"}),
        [EMAIL, ADDRESS],
    ]
    forwarded = {"X_Forwarded_For": ADDRESS, "Origin": "https://app.example"}

    statuses = send(house, *sent, **forwarded)
    send(house, body=b'{"batch": [{"email": "%s", "ip": "%s"' % (EMAIL.encode(), ADDRESS.encode()), **forwarded)
    house.collector.terminate()

    expected = ["stored", "duplicate", "conflict", "stored", "stored"] + ["quarantined"] * 5
    assert expected == statuses
    written = everything(house.folder) + capfd.readouterr().err.encode()
    assert [] == [secret for secret in (EMAIL, PHONE, ADDRESS) if secret.encode() in written]
    assert b"203.0.113.0" in written


def test_hashed_values_still_count_as_distinct(house):
    """The same address however written is one; two of them qualify, and a recount from what is stored says the same."""
    send(house, invited("m1", EMAIL), invited("m2", EMAIL.upper()))
    send(house, message("m9", event="Seen", userId="u-2"), Origin="https://app.example", User_Agent=HEADLESS)
    house.wait_until_decided()
    assert [] == house.ask("/v1/leads")["leads"]

    send(house, invited("m3", "bob.example@mail.example"))
    house.wait_until_decided()

    (lead,) = house.ask("/v1/leads")["leads"]
    assert ["invited = 2 (at least 2)"] == lead["reasons"]
    assert "mail.example" not in json.dumps(house.ask("/v1/qualifications/u-1"))
    house.collector.terminate()
    done = assay(house.folder, "verify")
    assert 0 == done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("headers", "context", "mark"),
    [
        ({"Origin": "https://app.example", "User_Agent": HEADLESS}, {}, "bot"),
        ({"Origin": "https://app.example", "User_Agent": CHROME, "X_Forwarded_For": "192.0.2.9"}, {}, "internal"),
        ({"User_Agent": "python-requests/2.32"}, {"userAgent": "curl/8.5", "ip": "192.0.2.9"}, "internal"),
        ({"User_Agent": "python-requests/2.32"}, {"userAgent": "curl/8.5", "traffic": "bot"}, None),
        ({"Origin": "https://app.example", "User_Agent": CHROME}, {}, None),
    ],
)  # fmt: skip
def test_traffic_that_is_nobodys_is_stored_marked_and_counted_but_never_scored(house, headers, context, mark):
    """A bot, or somebody of the house, qualifies for nothing; whoever else does the same does."""
    send(house, message("m1", event="Seen", context=context), **headers)
    house.wait_until_decided()

    (row,) = stored_events(house.folder)
    assert mark == json.loads(row.context).get("traffic")
    assert (mark is None) == row.scored
    assert (0 if mark else 1) == len(house.ask("/v1/leads")["leads"])
    counted = f'assay_marked_events_total{{source="web",traffic="{mark}"}} 1.0'
    assert (mark is not None) == (counted in house.metrics())


def test_marked_traffic_counts_where_that_is_set(tmp_path):
    """Counted or not, it is marked."""
    write(tmp_path)
    with opened_house(tmp_path, "--counted-traffic", "bot") as house:
        send(house, message("m1", event="Seen"), Origin="https://app.example", User_Agent=HEADLESS)
        house.wait_until_decided()

        assert 1 == len(house.ask("/v1/leads")["leads"])
        assert "bot" == json.loads(stored_events(tmp_path)[0].context)["traffic"]


def test_without_a_plan_nobody_knows_what_to_hash(tmp_path):
    """The collector does not start, and says what is missing."""
    (tmp_path / "assay.toml").write_text('personal_data = {email = "hash"}')
    done = assay(tmp_path, "serve", "--port", "0")

    assert 2 == done.returncode
    assert "no plan says which properties are personal data" in done.stderr
