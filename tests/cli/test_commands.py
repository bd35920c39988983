"""The command line, run in process over a real database."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from assay_collector.cli import main
from assay_collector.keys import digest_of
from assay_collector.store import OutboxMessage, Quarantined
from assay_collector.stores.sqlite.outbox import append
from assay_collector.stores.sqlite.store import SQLiteStore


@pytest.fixture
def assay(tmp_path, monkeypatch):
    """Runs `assay` in an empty folder without settings of the surroundings, and expects it to go well."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ASSAY_DATABASE", raising=False)
    monkeypatch.delenv("ASSAY_CONFIG", raising=False)

    def run(*words: str, exit_code: int = 0) -> str:
        result = CliRunner().invoke(main, list(words), prog_name="assay")
        assert exit_code == result.exit_code, result.output
        return result.stdout if exit_code == 0 else result.output

    return run


def read(assay, *words: str):
    return json.loads(assay(*words, "--format", "json"))


def test_help_names_every_command_and_imports_none(assay):
    """The list of commands is the same whatever is installed."""
    said = assay("--help")

    for name in ("serve", "settings", "keys", "leads", "explain", "quarantine", "counts", "dead-letters", "verify"):
        assert f"\n  {name} " in said
    for name in ("check", "doctor", "lint"):
        assert f"\n  {name} " in said


@pytest.mark.parametrize(
    "words", [("settings",), ("keys",), ("counts",), ("quarantine",), ("dead-letters",), ("serve",)]
)
def test_help_teaches_by_example(assay, words):
    """The help of each command shows how it is used."""
    assert f"assay {words[0]}" in assay(*words, "--help").split("Examples:")[1]


def test_a_misspelt_command_gets_a_suggestion(assay):
    """A slip is answered with the command that was probably meant."""
    assert "No such command 'serv'; did you mean 'serve'?" in assay("serv", exit_code=2)


def test_the_whole_life_of_a_key(assay, tmp_path):
    """A key is made for a source, works by its digest, and is revoked by its id."""
    assay("keys", "sources", "create", "web", "--name", "The web app")
    secret = assay("keys", "create", "--source", "web", "--kind", "browser", "--note", "site").strip()

    (listed,) = read(assay, "keys", "list")
    assay("keys", "revoke", listed["id"])

    assert ("browser", "web", "site", None) == tuple(listed[name] for name in ("kind", "source", "note", "revoked_at"))
    (revoked,) = read(assay, "keys", "list")
    assert revoked["revoked_at"] is not None
    store = SQLiteStore(tmp_path / "assay.db")
    assert [digest_of(secret)] == [key.digest for key in store.keyring.keys()]
    assert store.keyring.find(digest_of(secret)) is None
    store.close()


def test_a_secret_is_shown_once_and_alone_on_standard_output(assay):
    """`$(assay keys create ...)` is the secret, and nothing else ever shows it."""
    assay("keys", "sources", "create", "api")
    secret = assay("keys", "create", "--source", "api")

    assert secret.startswith("assay_ws_")
    assert 1 == len(secret.split())
    assert secret.strip() not in assay("keys", "list") + assay("keys", "list", "--format", "json")


def test_the_secret_of_an_admin_token_as_json(assay):
    """Programs get the id and the secret in one document."""
    made = read(assay, "keys", "create", "--kind", "admin", "--note", "ops")

    assert made["secret"].startswith("assay_admin_")
    assert ("admin", None, "ops") == (made["kind"], made["source"], made["note"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("keys", "create"), "every other key has one"),
        (("keys", "create", "--kind", "admin", "--source", "web"), "an admin token has no --source"),
        (("keys", "create", "--source", "web"), "make it with: assay keys sources create web"),
        (("keys", "create", "--source", "web", "--kind", "root"), "'root' is not one of"),
        (("keys", "sources", "create", "a b"), "must be 1 to 64 letters, digits, - and _"),
        (
            ("keys", "sources", "create", "web", "--consent", "analytics=maybe"),
            "must be one of opt_in, opt_out, exempt",
        ),
        (("keys", "sources", "create", "web", "--category", "C1"), "must have the form NAME=VALUE"),
        (("keys", "sources", "create", "web", "--category", "C1=marketing"), "'marketing' is no purpose"),
        (("keys", "sources", "create", "web", "--on-deny", "analytics=forget"), "must be one of store_restricted"),
        (("keys", "list"), "there is no database at assay.db"),
        (("counts", "--database", "else.db"), "there is no database at else.db"),
        (("settings", "--port", "high"), "setting port is 'high' (from flag --port)"),
        (("settings", "--config", "none.toml"), "cannot read the settings file none.toml: No such file or directory"),
        (("quarantine", "--before", "xyz"), "'xyz' is no id from this list"),
        (("dead-letters", "resend"), "name the messages to resend, or say --all"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_mistake_is_answered_in_words(assay, words, said):
    """Whoever slips is told what was wrong and what would be right, without a traceback, with exit code 2."""
    answer = assay(*words, exit_code=2)

    assert said in answer
    assert "Traceback" not in answer


def test_reading_leaves_no_empty_database_behind(assay, tmp_path):
    """A misspelt path is not turned into a new database."""
    assay("counts", "--database", "misspelt.db", exit_code=2)

    assert [] == list(tmp_path.iterdir())


def test_revoking_what_is_not_there_is_refused(assay):
    """A wrong id does not look like success."""
    assay("keys", "create", "--kind", "admin")

    assert "no key 'key_none'" in assay("keys", "revoke", "key_none", exit_code=2)


_NAMED = ("id", "name", "namespace", "invalid", "unplanned", "consent", "categories")


def test_a_source_is_changed_by_what_is_named(assay):
    """What a change does not name stays; maps grow entry by entry."""
    assay("keys", "sources", "create", "web", "--unplanned", "allow", "--consent", "analytics=opt_in")

    assay(
        "keys",
        "sources",
        "change",
        "web",
        "--name",
        "Web",
        "--consent",
        "pql_scoring=exempt",
        "--category",
        "C2=analytics, enrichment",
    )

    (source,) = read(assay, "keys", "sources", "list")
    assert {
        "id": "web",
        "name": "Web",
        "namespace": "default",
        "invalid": "quarantine",
        "unplanned": "allow",
        "consent": {"analytics": "opt_in", "pql_scoring": "exempt"},
        "categories": {"C2": ["analytics", "enrichment"]},
    } == {name: source[name] for name in source if name in _NAMED}
    assert "analytics=opt_in" in assay("keys", "sources", "list")


def test_a_source_says_how_consent_is_read(assay):
    """Which signals count, what they deny, what follows, and how long a grant holds."""
    assay("keys", "sources", "create", "web", "--on-deny", "analytics=drop", "--dnt", "third_party_share")
    assay("keys", "sources", "change", "web", "--on-deny", "enrichment=anonymise", "--dnt", "ignore")
    assay("keys", "sources", "change", "web", "--gpc", "sales_contact", "--google-consent", "--consent-days", "180")

    (source,) = read(assay, "keys", "sources", "list")
    assert {
        "on_deny": {"analytics": "drop", "enrichment": "anonymise"},
        "dnt": [],
        "gpc": ["sales_contact"],
        "google_consent": True,
        "consent_days": 180,
    } == {name: source[name] for name in ("on_deny", "dnt", "gpc", "google_consent", "consent_days")}
    assert "analytics denied: drop" in assay("keys", "sources", "list")


def test_a_source_is_not_made_twice(assay):
    """Making a source never overwrites another's modes."""
    assay("keys", "sources", "create", "web")

    assert "there is a source 'web' already" in assay("keys", "sources", "create", "web", exit_code=2)


# --- settings ---


def test_settings_name_value_and_origin(assay, tmp_path, monkeypatch):
    """What `assay serve` would run with, and why."""
    (tmp_path / "assay.toml").write_text('host = "0.0.0.0"\nmetrics_token = "hidden"\n')
    monkeypatch.setenv("ASSAY_THREADS", "4")

    settings = {entry["name"]: entry for entry in read(assay, "settings", "--port", "9000")}

    assert ("0.0.0.0", "file assay.toml") == (settings["host"]["value"], settings["host"]["origin"])
    assert ("4", "environment ASSAY_THREADS") == (str(settings["threads"]["value"]), settings["threads"]["origin"])
    assert (9000, "flag --port", 8080) == tuple(settings["port"][name] for name in ("value", "origin", "default"))
    assert "(set)" == settings["metrics_token"]["value"]
    assert "bytes" == settings["body_bytes_max"]["unit"]
    assert "hidden" not in assay("settings")


def test_a_likely_misspelt_variable_is_mentioned(assay, monkeypatch):
    """A variable that nearly names a setting does not go unnoticed."""
    monkeypatch.setenv("ASSAY_TREADS", "4")

    result = CliRunner().invoke(main, ["settings"])

    assert "note: ASSAY_TREADS is no setting; did you mean ASSAY_THREADS?" in result.stderr


def test_a_file_that_is_not_toml_is_named(assay, tmp_path):
    """The message has the file and where in it."""
    (tmp_path / "assay.toml").write_text("port = \n")

    assert "cannot read the settings file assay.toml: Invalid value (at line 1" in assay("settings", exit_code=2)


# --- counts, quarantine, dead letters ---


def quarantined(number: int, *, reason: str = "schema_violation") -> Quarantined:
    return Quarantined(
        quarantine_id=bytes(15) + bytes([number]),
        source="web",
        message_id=f"m{number}",
        received_at=number * 1_000_000,
        reason=reason,
        pointer="/properties/count",
        detail="must be a number\x1b[31m",
        type="track",
        name="Task Assigned",
        schema_version="1-0-0",
        library="analytics.js",
        library_version="2.1",
        raw=b'{"email":"ann@example.com\xff"}',
    )


@pytest.fixture
def store(tmp_path: Path):
    store = SQLiteStore(tmp_path / "assay.db")
    yield store
    store.close()


def test_counts_say_where_everything_went(assay, store):
    """Counts by reason, for people and for programs."""
    store.events.commit([], [quarantined(1), quarantined(2), quarantined(3, reason="unplanned_event")])

    counted = {"stored": 0, "duplicates": 0, "conflicts": 0, "refused": {}}
    assert {**counted, "quarantined": {"schema_violation": 2, "unplanned_event": 1}} == read(assay, "counts")
    assert "quarantined: schema_violation  2\n" in assay("counts")


def test_the_quarantine_is_listed_newest_first_by_pages(assay, store):
    """`--before` goes on where the page before ended."""
    store.events.commit([], [quarantined(1), quarantined(2), quarantined(3)])

    first = read(assay, "quarantine", "--limit", "2")
    rest = read(assay, "quarantine", "--before", first[-1]["id"])

    assert ["m3", "m2", "m1"] == [entry["message_id"] for entry in first + rest]
    assert ("schema_violation", "/properties/count") == (first[0]["reason"], first[0]["pointer"])


def test_what_was_sent_is_shown_only_on_request(assay, store):
    """Personal data stays out of sight unless it is asked for; bytes that are no text do not get in the way."""
    store.events.commit([], [quarantined(1)])

    assert "ann@example.com" not in assay("quarantine") + assay("quarantine", "--format", "json")
    assert '{"email":"ann@example.com\\xff"}' in assay("quarantine", "--raw")


def test_what_was_sent_cannot_steer_the_terminal(assay, store):
    """Escape sequences in what clients sent are shown, not obeyed."""
    store.events.commit([], [quarantined(1)])

    said = assay("quarantine")

    assert "\x1b" not in said
    assert "\\x1b[31m" in said


@pytest.fixture
def two_dead(store):
    for number in (1, 2):
        message = OutboxMessage(f"msg_{number}", f"crm{number}", bytes(16), "pql.qualified", b"{}", number)
        with store.database.transaction() as connection:
            append(connection, [message])
        store.outbox.due(message.endpoint, 10, 1, 20)
        store.outbox.failed(message.message_id, "410 Gone", None)
    return store


def test_dead_letters_are_listed_with_their_last_error(assay, two_dead):
    """The operator sees what failed, where, and why."""
    (only,) = read(assay, "dead-letters", "list", "--endpoint", "crm2")

    assert ("msg_2", "410 Gone", 1) == (only["message_id"], only["last_error"], only["attempts"])
    assert "410 Gone" in assay("dead-letters", "list")


def test_dead_letters_are_resent_by_id_or_all(assay, two_dead):
    """A resent message waits for delivery again."""
    assert "1 will be sent again." in assay("dead-letters", "resend", "msg_1")
    assert "1 will be sent again." in assay("dead-letters", "resend", "--all")

    assert 2 == two_dead.outbox.pending()


def test_resending_what_is_not_dead_is_said(assay, two_dead):
    """An id that names no dead letter is not passed over in silence."""
    assert "1 of 2 will be sent again" in assay("dead-letters", "resend", "msg_1", "msg_9", exit_code=2)


def test_commands_run_beside_an_open_store(assay, store):
    """An operator's short command needs no stop of the collector."""
    assay("keys", "sources", "create", "web")

    assert ["web"] == [source.id for source in store.keyring.sources()]


def test_a_file_that_is_no_database_is_refused(assay, tmp_path):
    """A wrong file is said to be one, and is not touched."""
    (tmp_path / "assay.db").write_text("not a database, but long enough to look at" * 50)

    assert "file is not a database" in assay("counts", exit_code=2)


def test_a_command_leaves_one_file(assay, tmp_path):
    """Each command closes the database, so that the file can be moved right after it."""
    assay("keys", "create", "--kind", "admin")

    assert ["assay.db"] == [path.name for path in tmp_path.iterdir()]
