"""`assay privacy`, run in process over a real database."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from assay_collector.app import identity_key
from assay_collector.cli import main
from assay_collector.identity.identifiers import identifier_hasher
from assay_collector.ingest.admission import Admitter, PlanFinding
from assay_collector.pql.matching import SignalIndex
from assay_collector.settings import Settings
from assay_collector.store import Source
from assay_collector.stores.sqlite.claim import Claim
from assay_collector.stores.sqlite.store import SQLiteStore
from builders import NOW, read_event


@pytest.fixture
def assay(tmp_path, monkeypatch):
    """Runs `assay` in a folder with a database in which Ada was seen, under two ids."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ASSAY_DATABASE", raising=False)
    monkeypatch.delenv("ASSAY_CONFIG", raising=False)
    take_in(
        tmp_path,
        {"type": "identify", "userId": "ada", "anonymousId": "v1", "traits": {"name": "Lovelace"}, "messageId": "m0"},
    )
    take_in(tmp_path, {"type": "track", "event": "Made", "anonymousId": "v1", "properties": {"n": 1}})

    def run(*words: str, exit_code: int = 0) -> str:
        result = CliRunner().invoke(main, ["privacy", *words], prog_name="assay")
        assert exit_code == result.exit_code, result.output
        return result.stdout if exit_code == 0 else result.output

    return run


def take_in(folder: Path, message: dict) -> str:
    """One message, stored or refused."""
    store = SQLiteStore(folder / "assay.db")
    source = Source(id="app", name="app")
    store.keyring.put_source(source, NOW)
    admitter = Admitter(identifier_hasher(identity_key(Settings(), store)), SignalIndex(()))
    event = read_event(message)
    (status,) = store.events.commit([admitter.admit(event, source, PlanFinding())], [])
    store.close()
    return status


def read(assay, *words: str):
    return json.loads(assay(*words, "--format", "json"))


def test_an_export_is_a_file_of_json_lines(assay, tmp_path):
    """From the first line that says who to the last that says how much; the request is done."""
    assay("export", "v1", "--output", "ada.jsonl", "--by", "Grace")
    lines = [json.loads(line) for line in (tmp_path / "ada.jsonl").read_text().splitlines()]

    assert 1 == lines[0]["export"]
    assert lines[-1]["end"]
    assert {"ada", "v1"} == {line["row"]["value"] for line in lines if line.get("table") == "identifiers"}
    assert [("export", "done", "Grace")] == [(r["kind"], r["state"], r["by"]) for r in read(assay, "requests")]


def test_an_export_goes_to_standard_output_as_well(assay):
    """One may pipe it; what is said beside it goes to standard error."""
    lines = [json.loads(line) for line in assay("export", "ada").splitlines()]

    assert {"name": "Lovelace"} in [line["row"].get("properties") for line in lines if line.get("table") == "events"]


def test_a_dry_run_says_what_would_go(assay):
    """And nothing goes."""
    said = read(assay, "erase", "ada", "--dry-run")

    assert (2, 2) == (len(said["subjects"]), said["held"]["events"])
    assert said == read(assay, "erase", "ada", "--dry-run")
    assert [] == read(assay, "requests")


def test_an_erasure_ends_with_a_certificate(assay, tmp_path):
    """It can be shown, and a changed one is told."""
    request = read(assay, "erase", "ada", "--by", "Grace", "--reason", "asked by ada")
    (tmp_path / "certificate.json").write_text(assay("certificate", request["id"]))
    (tmp_path / "changed.json").write_text(assay("certificate", request["id"]).replace('"events": 2', '"events": 1'))

    assert ("done", 2, "asked by [subject]") == (request["state"], request["counts"]["events"], request["reason"])
    assert "unchanged" in assay("certificate", "--check", "certificate.json")
    assert "was changed since" in assay("certificate", "--check", "changed.json", exit_code=2)
    assert "erased_subject" == take_in(tmp_path, {"type": "track", "event": "Made", "userId": "ada"})


def test_who_is_unknown_or_erased_is_told_apart(assay):
    """Each in one line, with exit code 2."""
    assert "nobody is known by this id" in assay("export", "nobody", exit_code=2)
    request = read(assay, "erase", "v1")
    assert request["id"] in assay("erase", "ada", exit_code=2)


def test_a_suppression_is_lifted_by_its_request(assay, tmp_path):
    """In force from the first moment; lifted, events are taken again."""
    request = read(assay, "suppress", "ada")
    assert "suppressed_subject" == take_in(tmp_path, {"type": "track", "event": "Made", "userId": "ada"})
    assay("suppress", "--lift", request["id"])

    assert "stored" == take_in(tmp_path, {"type": "track", "event": "Made", "userId": "ada", "messageId": "later"})
    assert "there is no such request" in assay("suppress", "--lift", request["id"], exit_code=2)
    assert "is no request's id" in assay("suppress", "--lift", "ada", exit_code=2)


def test_an_overdue_request_fails_the_command(assay, tmp_path):
    """So that a cron job notices."""
    request = read(assay, "erase", "ada")
    store = SQLiteStore(tmp_path / "assay.db")
    with store.database.transaction() as connection:
        connection.execute("UPDATE privacy_requests SET state = 'notifying', due_at = 1")
    store.close()

    assert f"{request['id']}  erase  notifying" in " ".join(assay("requests", exit_code=1).split(" "))


def test_the_vacuum_leaves_no_byte(assay, tmp_path):
    """After an erasure and the vacuum, what was said is in no file of the folder."""
    assert b"Lovelace" in b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assay("erase", "ada")
    assay("vacuum")

    assert b"Lovelace" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_the_vacuum_needs_the_database_for_itself(assay, tmp_path):
    """A collector that serves it is named, and nothing is done."""
    claim = Claim(tmp_path / "assay.db")

    assert "is serving" in assay("vacuum", exit_code=2)
    claim.release()


def test_help_teaches_by_example(assay):
    """Of the group and of each command."""
    for words in ((), ("export",), ("erase",), ("suppress",), ("requests",), ("certificate",), ("vacuum",)):
        assert "assay privacy" in assay(*words, "--help").split("Examples:")[1]
