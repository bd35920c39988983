"""The tracking plan over HTTP."""

import json
from typing import Any

import pytest
from web_parts import ADMIN_TOKEN, BROWSER_KEY, REVOKED_KEY, SERVER_KEY, make_house

from assay.contract.plan import Plan

BLOCK = {"type": "track", "event": "Seen", "version": "1-0-0", "purposes": ["analytics"]}
PLAN = Plan.from_documents(
    {
        "plan.json": '{"name": "shop ☃"}'.encode(),
        "events/seen/1-0-0.json": json.dumps(
            {"$schema": "https://json-schema.org/draft/2020-12/schema", "x-assay": BLOCK, "type": "object"}
        ).encode(),
    }
)


def fetch(plan: Plan | None = PLAN, key: str = SERVER_KEY, scheme: str = "Bearer", **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    client = make_house(plan=plan).app.test_client()
    return client.get("/v1/plan", headers={"Authorization": f"{scheme} {key}", **named})


def test_whoever_reads_it_has_the_plan() -> None:
    """The documents alone make the same plan, of the same revision."""
    answer = fetch()

    again = Plan.from_documents({path: json.dumps(file).encode() for path, file in answer.json["documents"].items()})
    assert (PLAN.revision, PLAN.revision, "shop ☃") == (again.revision, answer.json["revision"], answer.json["name"])
    assert f'"{PLAN.revision}"' == answer.headers["ETag"]
    assert "application/json" == answer.headers["Content-Type"]


@pytest.mark.parametrize(
    ("known", "status"),
    [
        (f'"{PLAN.revision}"', 304),
        (f'W/"{PLAN.revision}"', 304),
        (f'"other", "{PLAN.revision}"', 304),
        ("*", 304),
        ('"other"', 200),
        (PLAN.revision, 304),  # as somebody who does not know the quotes asks
        ("", 200),
    ],
)
def test_who_knows_it_is_told_so_in_few_bytes(known: str, status: int) -> None:
    """The ETag comes back, also one that a proxy made weak."""
    answer = fetch(If_None_Match=known)

    assert status == answer.status_code
    assert (status == 304) == (answer.data == b"")
    assert f'"{PLAN.revision}"' == answer.headers["ETag"]


@pytest.mark.parametrize(
    ("key", "scheme", "status"),
    [
        (SERVER_KEY, "Bearer", 200),
        (SERVER_KEY, "Basic", 200),
        (ADMIN_TOKEN, "Bearer", 200),
        (BROWSER_KEY, "Basic", 403),
        (REVOKED_KEY, "Basic", 401),
        ("nobody's", "Bearer", 401),
        ("", "Bearer", 401),
    ],
)
def test_it_is_for_those_with_a_secret(key: str, scheme: str, status: int) -> None:
    """A browser's key stands in every page, so it does not open the plan."""
    assert status == fetch(key=key, scheme=scheme).status_code


def test_without_a_plan_there_is_none() -> None:
    """And that is said as JSON."""
    answer = fetch(plan=None)

    assert (404, "no_plan") == (answer.status_code, answer.json["code"])
