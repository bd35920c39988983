"""The wire's cases, over the application with its door and over Flask alone."""

from typing import Any

import pytest
from cases_run import Answer, Recorded, load_cases, run_case, time_of
from web_parts import House, make_house, without_door
from werkzeug.test import Client, EnvironBuilder

CASES = load_cases("bodies", "neighbours", "auth", "times", "answers", "consent")


# Tidying a path is the door's work alone.
FRONTS = [
    (front, name, case)
    for name, case in CASES
    for front in ("door", "flask")
    if front == "door" or "//" not in case["path"]
]


@pytest.mark.parametrize(
    ("front", "case"), [row[::2] for row in FRONTS], ids=[f"{name} ({front})" for front, name, _ in FRONTS]
)
def test_a_case_of_the_wire(front: str, case: dict[str, Any]) -> None:
    """The answer, and what was stored and quarantined, are as the case says."""
    house = make_house()
    app = house.app if front == "door" else without_door(house.app)

    def send(method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        return send_to(app, method, path, headers, body)

    run_case(case, send, lambda: recorded_by(house))


def send_to(
    app: Any, method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, str] | None = None
) -> Answer:
    """One request through the WSGI application."""
    builder = EnvironBuilder(path=path, method=method, headers=headers, data=body or None, query_string=query)
    if "Content-Type" not in headers:
        builder.content_type = None
    response = Client(app).open(builder)
    return Answer(response.status_code, {k.lower(): v for k, v in response.headers.items()}, response.data)


def recorded_by(house: House) -> Recorded:
    """What the house's ingest took in."""
    events = house.ingest.stored.values()
    return Recorded(
        stored=house.stored_ids(),
        quarantined=house.quarantined_codes(),
        times=[(str(time_of(event.at)), time_of(event.original_at), event.clamped) for event in events],
        key_conflicts=int(float(house.metric("assay_key_conflicts_total").rpartition(" ")[2])),
    )
