"""Who is who over HTTP, against a running collector's application in process."""

from collections.abc import Iterator
from typing import Any

import pytest
from whole_app import running

from serving import wait_until

PAIR = ["user:ada", "anonymous:v1"]


class Door:
    """A collector's application, and how an admin and a client speak to it."""

    def __init__(self, app: Any, key: str, token: str) -> None:
        self.app, self.key, self.token = app, key, token

    def send(self, *messages: dict[str, Any]) -> None:
        answer = self.app.test_client().post("/v1/batch", json={"batch": list(messages), "writeKey": self.key})
        assert 200 == answer.status_code

    def ask(self, path: str, token: str | None = None, **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {token or self.token}"}
        return self.app.test_client().get(f"/v1/identity/{path}", headers=headers, **more)

    def say(self, path: str, **order: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        return self.app.test_client().post(f"/v1/identity/{path}", json=order, headers=headers)

    def is_one(self) -> bool:
        """Whether the two are one person by now."""
        return bool(self.ask("why?id=user:ada&id=anonymous:v1").json["onePerson"])


@pytest.fixture
def door(tmp_path) -> Iterator[Door]:
    with running(tmp_path / "assay.db") as parts:
        door = Door(*parts)
        door.send(
            {
                "type": "identify",
                "userId": "ada",
                "anonymousId": "v1",
                "messageId": "m1",
                "traits": {"name": "Lovelace"},
            },
            {"type": "identify", "userId": "bob", "messageId": "m2"},
        )
        wait_until(door.is_one)
        yield door


def test_a_person_is_shown_by_any_of_its_ids(door: Door):
    """With its traits and where they come from."""
    by_user, by_visitor = (door.ask(f"people/{id}").json for id in ("ada", "anonymous:v1"))

    assert by_user == by_visitor
    assert ["user ada", 1] == [by_user["name"], by_user["events"]]
    assert [("name", "Lovelace", "web", "m1")] == [
        (trait["key"], trait["value"], trait["source"], trait["messageId"]) for trait in by_user["traits"]
    ]


def test_why_is_told_in_words(door: Door):
    """In one call: which message, of which source, when."""
    told = door.ask("why?id=ada&id=v1").json

    assert "user ada and anonymous v1 are one person" == told["words"][0]
    assert {"source": "web", "messageId": "m1", "type": "identify", "name": None} == told["because"][0]["evidence"]


def test_an_undo_is_rehearsed_done_and_put_on_record(door: Door):
    """A dry run does nothing; then the two are two, and `why` says whose word that was."""
    rehearsed = door.say("undo", ids=PAIR, dryRun=True).json
    assert (False, ["splits 1 person into 2", "0 events change hands"]) == (rehearsed["done"], rehearsed["words"])
    assert door.is_one()
    done = door.say("undo", ids=PAIR, note="ticket 4711").json
    wait_until(lambda: not door.is_one())

    (refused,) = door.ask("why?id=ada&id=v1").json["refused"]
    word = refused["undoneBy"]
    assert ("undone", done["act"], "ticket 4711") == (refused["state"], word["act"], word["note"])
    assert word["actor"].startswith("admin token key_")
    assert {"refused": {"undone": 1}} == door.ask("counts").json
    assert b'assay_identity_links_refused{reason="undone"} 1.0' in door.app.test_client().get("/metrics").data


def test_two_users_are_linked_by_an_admin(door: Door):
    """And undone by the message's id, only what rests on it."""
    door.say("links", ids=["user:ada", "user:bob"], rename=True)
    wait_until(lambda: door.ask("people/ada").json["name"] == "user bob")
    door.say("undo", message={"source": "web", "messageId": "m1"})
    wait_until(lambda: not door.is_one())

    assert "user bob" == door.ask("people/ada").json["name"]


@pytest.mark.parametrize(
    ("path", "order", "status", "code"),
    [
        ("undo", {}, 400, "invalid_parameter"),
        ("undo", {"ids": PAIR, "allOf": "ada"}, 400, "invalid_parameter"),
        ("undo", {"ids": ["ada", "bob"]}, 409, "nothing_to_undo"),
        ("undo", {"message": {"source": "web", "messageId": "m2"}}, 409, "nothing_to_undo"),
        ("undo", {"allOf": "nobody"}, 404, "unknown_identifier"),
        ("links", {"ids": ["ada"]}, 400, "invalid_parameter"),
        ("links", {"ids": ["ada", "ada"]}, 409, "link_refused"),
        ("links", {"ids": ["user:ada", "anonymous:v1"], "rename": True}, 409, "link_refused"),
    ],
)
def test_what_cannot_be_done_says_why(door: Door, path: str, order: dict[str, Any], status: int, code: str):
    """Errors are JSON with a code, and change nothing."""
    answer = door.say(path, **order)

    assert (status, code) == (answer.status_code, answer.json["code"])
    assert door.is_one()


@pytest.mark.parametrize("path", ["why", "why?id=a&id=b&id=c", "people/ada?at=yesterday"])
def test_a_question_that_cannot_be_read_says_so(door: Door, path: str):
    """One or two ids; an instant."""
    assert "invalid_parameter" == door.ask(path).json["code"]


def test_only_an_admin_may_ask(door: Door):
    """A write key knows nothing of persons."""
    assert 403 == door.ask("counts", token=door.key).status_code
    assert 401 == door.ask("counts", token="nobody").status_code
