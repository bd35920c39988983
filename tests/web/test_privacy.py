"""The rights of persons over HTTP, against a running collector's application in process."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from whole_app import running

from serving import wait_until


class Door:
    """A collector's application, and how an admin and a client speak to it."""

    def __init__(self, app: Any, key: str, token: str) -> None:
        self.app, self.key, self.token = app, key, token

    def send(self, *messages: dict[str, Any]) -> list[dict[str, Any]]:
        answer = self.app.test_client().post(
            "/v1/batch",
            json={"batch": list(messages), "writeKey": self.key},
            headers={"Prefer": "return=representation"},
        )
        return answer.json["results"]

    def ask(self, path: str, method: str = "GET", token: str | None = None, **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {token or self.token}"}
        return self.app.test_client().open(f"/v1/privacy/{path}", method=method, headers=headers, **more)

    def enter(self, **order: str) -> Any:
        return self.ask("requests", "POST", json=order)


@pytest.fixture
def door(tmp_path) -> Iterator[Door]:
    with running(tmp_path / "assay.db") as parts:
        door = Door(*parts)
        door.send(
            {"type": "identify", "userId": "ada", "anonymousId": "v1", "traits": {"name": "Lovelace"}},
            {"type": "track", "userId": "ada", "event": "Made"},
        )
        yield door


def test_an_erasure_is_in_force_when_the_answer_comes(door: Door):
    """The next message is refused; the collector removes the rows by itself, and certifies it."""
    entered = door.enter(kind="erase", subject="ada", by="Grace", reason="a letter")
    (result,) = door.send({"type": "track", "userId": "ada", "event": "Made"})
    wait_until(lambda: door.ask(f"requests/{entered.json['id']}").json["state"] == "done", 20)
    shown = door.ask(f"requests/{entered.json['id']}").json

    assert (200, "suppressed") == (entered.status_code, entered.json["state"])
    assert ("refused", "erased_subject") == (result["status"], result["code"])
    assert 2 == shown["certificate"]["removed"]["events"]
    assert shown["by"].startswith("Grace (key_")
    assert 409 == door.enter(kind="erase", subject="v1").status_code


def test_an_export_is_streamed(door: Door):
    """Line by line, as JSON; then the request is done."""
    entered = door.enter(kind="export", subject="ada").json
    answer = door.ask(f"requests/{entered['id']}/export")
    lines = [json.loads(line) for line in answer.data.splitlines()]

    assert "application/x-ndjson" == answer.content_type
    assert {"ada", "v1"} == {line["row"]["value"] for line in lines if line.get("table") == "identifiers"}
    assert lines[-1]["end"]
    assert ["done"] == [request["state"] for request in door.ask("requests").json["requests"]]


def test_a_suppression_can_be_lifted(door: Door):
    """Events are refused while it lasts."""
    entered = door.enter(kind="suppress", subject="ada").json
    (during,) = door.send({"type": "track", "userId": "ada", "event": "Made"})
    lifted = door.ask(f"requests/{entered['id']}/lift", "POST")
    (after,) = door.send({"type": "track", "userId": "ada", "event": "Made"})

    assert ("suppressed_subject", "lifted", "stored") == (during["code"], lifted.json["state"], after["status"])


@pytest.mark.parametrize(
    ("path", "method", "body", "expected"),
    [
        ("requests", "POST", b"{", (400, "invalid_parameter")),
        ("requests", "POST", b'{"kind":"burn","subject":"ada"}', (400, "invalid_parameter")),
        ("requests", "POST", b'{"kind":"erase","subject":"ada","colour":1}', (400, "invalid_parameter")),
        ("requests", "POST", b'{"kind":"erase","subject":"nobody"}', (404, "unknown_subject")),
        ("requests/00", "GET", None, (404, "unknown_request")),
        ("requests/xyz", "GET", None, (404, "unknown_request")),
        ("requests/xyz/lift", "POST", None, (404, "unknown_request")),
    ],
)
def test_what_cannot_be_done_says_why(
    door: Door, path: str, method: str, body: bytes | None, expected: tuple[int, str]
):
    """With a code for programs; the subject is not repeated."""
    answer = door.ask(path, method, data=body)

    assert expected == (answer.status_code, answer.json["code"])
    assert 'nobody"' not in answer.text


def test_only_an_admin_may_ask(door: Door):
    """Neither a write key nor nobody."""
    assert 403 == door.ask("requests", token=door.key).status_code
    assert 401 == door.app.test_client().get("/v1/privacy/requests").status_code


def test_overdue_requests_are_a_metric(door: Door):
    """An open export counts as under way."""
    door.enter(kind="export", subject="ada")
    text = door.app.test_client().get("/metrics").text

    assert "assay_privacy_requests_open 1.0" in text
    assert "assay_privacy_requests_overdue 0.0" in text
