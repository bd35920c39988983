"""`assay identity`, run in process over a database that a collector has written."""

import json
from typing import Any

import pytest
from click.testing import CliRunner

from assay_collector.app import create_app, stop
from assay_collector.cli import main
from assay_collector.keys import ENTROPY_BYTES, new_key
from assay_collector.settings import Settings
from assay_collector.store import Source
from assay_collector.stores.sqlite.store import SQLiteStore
from serving import wait_until

MESSAGES = [
    {"type": "track", "anonymousId": "v1", "event": "Made", "messageId": "m1", "timestamp": "2026-03-01T09:00:00Z"},
    {
        "type": "identify",
        "userId": "ada",
        "anonymousId": "v1",
        "messageId": "m2",
        "timestamp": "2026-03-01T10:00:00Z",
        "traits": {"role": "user"},
    },
    {
        "type": "identify",
        "userId": "bob",
        "anonymousId": "v1",
        "messageId": "m3",
        "timestamp": "2026-03-02T09:00:00Z",
    },
    {"type": "group", "userId": "ada", "groupId": "acme", "messageId": "m4", "timestamp": "2026-03-02T10:00:00Z"},
    {
        "type": "identify",
        "userId": "ada",
        "messageId": "m5",
        "timestamp": "2026-03-03T09:00:00Z",
        "traits": {"role": "admin"},
    },
]


def taken_in(*messages: dict[str, Any]) -> None:
    """A collector takes these in, decides, and stops."""
    app = create_app(Settings())
    try:
        answer = app.test_client().post("/v1/batch", json={"batch": list(messages), "writeKey": secret()})
        assert 200 == answer.status_code
        store = SQLiteStore(Settings().database)
        wait_until(lambda: store.agenda.backlog(10**17)[0] == 0, 30)
        store.close()
    finally:
        stop(app)


def secret() -> str:
    return new_key("server", "web", entropy=b"x" * ENTROPY_BYTES, now=0)[0]


@pytest.fixture
def assay(tmp_path, monkeypatch):
    """Runs `assay` in a folder with a database."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ASSAY_DATABASE", raising=False)
    store = SQLiteStore(Settings().database)
    store.keyring.put_source(Source(id="web", name="web"), 0)
    store.keyring.put_key(new_key("server", "web", entropy=b"x" * ENTROPY_BYTES, now=0)[1])
    store.close()
    taken_in(*MESSAGES)

    def run(*words: str, exit_code: int = 0, answer: str = "") -> str:
        result = CliRunner().invoke(main, ["identity", *words], prog_name="assay", input=answer)
        assert exit_code == result.exit_code, result.output
        return result.stdout if exit_code == 0 else result.output

    return run


def test_a_person_is_shown(assay):
    """Identifiers, traits with their origin, accounts, and what was refused."""
    assert [
        "user ada: 4 events",
        "  user ada (default)",
        "  anonymous v1 (default), shared from 2026-03-02T09:00:00.000Z on",
        "  trait role = 'admin' since 2026-03-03T09:00:00.000Z, from web m5",
        "  account acme from 2026-03-02T10:00:00.000Z, from web m4",
    ] == assay("show", "v1").splitlines()[:5]
    assert "refused: on 2026-03-02T09:00:00.000Z the identify message 'm3' of source 'web' said" in assay("show", "ada")


def test_traits_are_shown_as_they_were(assay):
    """By the time of the events."""
    assert "trait role = 'user' since 2026-03-01T10:00:00.000Z, from web m2" in assay(
        "show", "ada", "--at", "2026-03-02T00:00:00Z"
    )
    assert "must be an instant" in assay("show", "ada", "--at", "yesterday", exit_code=2)


def test_what_was_refused_is_counted(assay):
    """Without an id, over the whole database."""
    assert {"two_users": 1} == json.loads(assay("show", "--json"))
    assert ["REASON     LINKS", "two_users  1"] == assay("show").splitlines()


def test_why_is_told_in_words(assay):
    """Which message, when, and of what was refused, why."""
    assert "user bob and anonymous v1 are two persons" == assay("why", "bob", "anonymous:v1").splitlines()[0]
    assert "it would have made two users one person" in assay("why", "bob", "v1")
    assert json.loads(assay("why", "ada", "v1", "--json"))["onePerson"]
    assert "linked to nobody" in assay("why", "user:bob")


def test_an_undo_tells_first_and_asks(assay):
    """No means no; a dry run never asks; yes is done, and on record with who and why."""
    told = assay("undo", "ada", "v1", "--dry-run")
    assert [
        # The tablet falls to whoever is left.
        "1 identifier changes hands among 2 people",
        "1 event changes hands",
        "Nothing was done: this was a dry run.",
    ] == told.splitlines()
    assay("undo", "ada", "v1", exit_code=1, answer="n\n")
    assay("undo", "ada", "v1", "--by", "Grace", "--note", "ticket 4711", answer="y\n")
    taken_in()

    shown = json.loads(assay("why", "ada", "v1", "--json"))
    (refused,) = [row for row in shown["refused"] if row["state"] == "undone"]
    assert (False, "Grace (command line)", "ticket 4711") == (
        shown["onePerson"],
        refused["undoneBy"]["actor"],
        refused["undoneBy"]["note"],
    )


def test_links_of_a_message_are_undone(assay):
    """By its source and id."""
    assert json.loads(assay("undo", "--message", "web:m2", "--yes", "--json"))["done"]
    assert "no link that rests on message 'm5'" in assay("undo", "--message", "web:m5", "--yes", exit_code=2)


def test_a_user_is_renamed(assay):
    """And found by both names."""
    assay("link", "bob", "ada", "--rename", "--yes")
    taken_in()

    assert json.loads(assay("show", "bob", "--json"))["name"] == "user ada"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("undo",), "name two ids, or --message, or --all-of"),
        (("undo", "ada", "v1", "--all-of", "ada"), "name two ids, or --message, or --all-of"),
        (("undo", "--message", "m2"), "must be SOURCE:MESSAGE_ID"),
    ],
)
def test_a_slip_is_told(assay, words, said):
    """What an undo is about must be clear."""
    assert said in assay(*words, exit_code=2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("show", "nobody"), "nobody was ever seen by the id 'nobody'"),
        (("link", "ada", "ada", "--yes"), "they are the same"),
        (("link", "v1", "ada", "--rename", "--yes"), "only a user id is renamed"),
        (("undo", "bob", "ada", "--yes"), "no link between 'bob' and 'ada' stands"),
    ],
)
def test_what_cannot_be_done_says_why(assay, words, said):
    """Nothing is written."""
    assert said in assay(*words, exit_code=2)
