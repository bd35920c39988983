"""
The embedded store's tables, as migrations.

Large tables are keyed by what a cluster would distribute them by: events by ``event_id``; tallies, agenda, transitions
and traits by entity; links and people by leaf. No table needs a sequence that collectors would have to agree on:
``seq`` is this file's own log position.

A migration that has been released is never edited; a change is a new migration.
"""

from sqlite_utils import Database, Migrations

migrations = Migrations("assay")

_FIRST = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;

CREATE TABLE sources (
    id TEXT PRIMARY KEY, document TEXT NOT NULL, created_at INTEGER NOT NULL, changed_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE keys (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, source TEXT REFERENCES sources (id), digest BLOB NOT NULL UNIQUE,
    created_at INTEGER NOT NULL, revoked_at INTEGER, note TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    event_id BLOB NOT NULL, source TEXT NOT NULL, message_id TEXT NOT NULL, type TEXT NOT NULL, name TEXT,
    at INTEGER NOT NULL, original_at INTEGER, sent_at INTEGER, received_at INTEGER NOT NULL, clamped INTEGER NOT NULL,
    leaf BLOB NOT NULL, account BLOB, properties TEXT NOT NULL, context TEXT NOT NULL, digest BLOB NOT NULL,
    consent_id BLOB, scored INTEGER NOT NULL, violations TEXT, schema_version TEXT
);
CREATE UNIQUE INDEX events_by_id ON events (event_id);
CREATE INDEX events_by_leaf ON events (leaf, at);

CREATE TABLE conflicts (
    event_id BLOB NOT NULL, digest BLOB NOT NULL, source TEXT NOT NULL, message_id TEXT NOT NULL,
    received_at INTEGER NOT NULL, leaf BLOB NOT NULL, type TEXT NOT NULL, name TEXT, properties TEXT NOT NULL,
    context TEXT NOT NULL,
    PRIMARY KEY (event_id, digest)
) WITHOUT ROWID;

CREATE TABLE quarantine (
    quarantine_id BLOB PRIMARY KEY, source TEXT NOT NULL, message_id TEXT, received_at INTEGER NOT NULL,
    reason TEXT NOT NULL, pointer TEXT NOT NULL, detail TEXT NOT NULL, type TEXT, name TEXT, schema_version TEXT,
    library TEXT, library_version TEXT, raw BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX quarantine_by_message ON quarantine (message_id);
CREATE INDEX quarantine_by_reason ON quarantine (reason, quarantine_id);

CREATE TABLE counters (
    name TEXT NOT NULL, source TEXT NOT NULL, reason TEXT NOT NULL, n INTEGER NOT NULL,
    PRIMARY KEY (name, source, reason)
) WITHOUT ROWID;

CREATE TABLE identifiers (
    id BLOB PRIMARY KEY, namespace TEXT NOT NULL, type TEXT NOT NULL, value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE links (
    low BLOB NOT NULL, high BLOB NOT NULL, kind TEXT NOT NULL, at INTEGER NOT NULL, event_id BLOB NOT NULL,
    rule_version INTEGER NOT NULL DEFAULT 1, state TEXT NOT NULL DEFAULT 'active', reason TEXT,
    PRIMARY KEY (low, high, kind)
) WITHOUT ROWID;
CREATE INDEX links_by_high ON links (high);

CREATE TABLE people (leaf BLOB PRIMARY KEY, person BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX people_by_person ON people (person);

CREATE TABLE memberships (
    leaf BLOB NOT NULL, account BLOB NOT NULL, role TEXT, valid_from INTEGER NOT NULL, valid_to INTEGER,
    event_id BLOB NOT NULL,
    PRIMARY KEY (leaf, account)
) WITHOUT ROWID;
CREATE INDEX memberships_by_account ON memberships (account);

CREATE TABLE participations (leaf BLOB NOT NULL, account BLOB NOT NULL, PRIMARY KEY (leaf, account)) WITHOUT ROWID;

CREATE TABLE traits (
    entity BLOB NOT NULL, key TEXT NOT NULL, at INTEGER NOT NULL, event_id BLOB NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (entity, key, at, event_id)
) WITHOUT ROWID;

CREATE TABLE consent_snapshots (consent_id BLOB PRIMARY KEY, states TEXT NOT NULL, evidence TEXT NOT NULL)
WITHOUT ROWID;
CREATE TABLE consent_log (
    subject BLOB NOT NULL, purpose TEXT NOT NULL, at INTEGER NOT NULL, event_id BLOB NOT NULL, state TEXT NOT NULL,
    signal TEXT NOT NULL, basis TEXT, policy_version TEXT, received_at INTEGER NOT NULL, evidence TEXT NOT NULL,
    PRIMARY KEY (subject, purpose, at, event_id, state, signal)
) WITHOUT ROWID;
CREATE TABLE tombstones (id BLOB PRIMARY KEY, created_at INTEGER NOT NULL, reason TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE signals (
    signal INTEGER PRIMARY KEY, document TEXT NOT NULL, filled_to INTEGER NOT NULL
);
CREATE TABLE tallies (
    entity BLOB NOT NULL, signal INTEGER NOT NULL, bucket INTEGER NOT NULL, leaf BLOB NOT NULL,
    n INTEGER NOT NULL, first_at INTEGER NOT NULL, last_at INTEGER NOT NULL,
    total INTEGER,
    least INTEGER, greatest INTEGER, first_value TEXT, last_value TEXT, first_event BLOB, last_event BLOB,
    PRIMARY KEY (entity, signal, bucket, leaf)
) WITHOUT ROWID;
CREATE TABLE tally_items (
    entity BLOB NOT NULL, signal INTEGER NOT NULL, bucket INTEGER NOT NULL, leaf BLOB NOT NULL, item BLOB NOT NULL,
    first_at INTEGER NOT NULL, last_at INTEGER NOT NULL,
    PRIMARY KEY (entity, signal, bucket, leaf, item)
) WITHOUT ROWID;

CREATE TABLE agenda (
    kind TEXT NOT NULL, entity BLOB NOT NULL, due_at INTEGER NOT NULL, version INTEGER NOT NULL,
    causes INTEGER NOT NULL, since INTEGER NOT NULL,
    PRIMARY KEY (entity, kind)
) WITHOUT ROWID;
CREATE INDEX agenda_by_due ON agenda (due_at);

CREATE TABLE definitions (
    id TEXT NOT NULL, version INTEGER NOT NULL, hash TEXT NOT NULL, status TEXT NOT NULL, document TEXT NOT NULL,
    activated_at INTEGER NOT NULL,
    PRIMARY KEY (id, version, hash)
) WITHOUT ROWID;
CREATE TABLE transitions (
    definition TEXT NOT NULL, definition_version INTEGER NOT NULL, kind TEXT NOT NULL, entity BLOB NOT NULL,
    episode INTEGER NOT NULL, step TEXT NOT NULL, revision INTEGER NOT NULL, change TEXT NOT NULL,
    effective_at INTEGER NOT NULL, recorded_at INTEGER NOT NULL, cause TEXT NOT NULL, evidence TEXT NOT NULL,
    PRIMARY KEY (entity, definition, episode, step, revision)
) WITHOUT ROWID;
CREATE INDEX transitions_by_definition ON transitions (definition, effective_at);

CREATE TABLE outbox (
    position INTEGER PRIMARY KEY, message_id TEXT NOT NULL UNIQUE, endpoint TEXT NOT NULL, entity BLOB NOT NULL,
    type TEXT NOT NULL, body TEXT NOT NULL, created_at INTEGER NOT NULL, state TEXT NOT NULL DEFAULT 'pending',
    attempts INTEGER NOT NULL DEFAULT 0, next_at INTEGER NOT NULL, leased_until INTEGER NOT NULL DEFAULT 0,
    last_error TEXT, delivered_at INTEGER, first INTEGER NOT NULL
);
CREATE INDEX outbox_by_turn ON outbox (endpoint, next_at, position) WHERE first = 1;
CREATE INDEX outbox_by_lane ON outbox (endpoint, entity, position) WHERE state = 'pending';
CREATE INDEX outbox_by_death ON outbox (position) WHERE state = 'dead';
"""


@migrations()
def m001_the_spine(db: Database) -> None:
    """Everything from events to outbox."""
    for statement in _FIRST.split(";"):
        if statement.strip():
            db.execute(statement)


# Touches of each epoch have rows of their own, so that what is being decided is told apart from what comes meanwhile;
# the timer's row has epoch 0. What was touched before this migration may have been anything: it is decided in full.
_PATIENCE = (
    "DROP INDEX agenda_by_due",
    "ALTER TABLE agenda RENAME TO agenda_before",
    """
    CREATE TABLE agenda (
        kind TEXT NOT NULL, entity BLOB NOT NULL, epoch INTEGER NOT NULL, due_at INTEGER NOT NULL,
        version INTEGER NOT NULL, causes INTEGER NOT NULL, since INTEGER NOT NULL,
        marks INTEGER NOT NULL, earliest INTEGER NOT NULL, signals INTEGER NOT NULL,
        PRIMARY KEY (entity, kind, epoch)
    ) WITHOUT ROWID
    """,
    "INSERT INTO agenda SELECT kind, entity, causes != 64, due_at, version, causes, since, 1, -62135596800000000, "
    "4611686018427387903 FROM agenda_before",
    "DROP TABLE agenda_before",
    "CREATE INDEX agenda_by_due ON agenda (due_at)",
)


@migrations()
def m002_patience(db: Database) -> None:
    """The agenda tells what plain events came to."""
    for statement in _PATIENCE:
        db.execute(statement)


# What is decided under, and every version of a definition that was ever known, are two things from here on.
_VERSIONS = (
    "CREATE TABLE deciding (definition TEXT PRIMARY KEY, hash TEXT NOT NULL, live_at INTEGER NOT NULL) WITHOUT ROWID",
    "INSERT INTO deciding SELECT id, hash, activated_at FROM definitions WHERE status = 'active'",
    "DROP TABLE definitions",
    """
    CREATE TABLE definitions (
        content TEXT PRIMARY KEY, id TEXT NOT NULL, version INTEGER NOT NULL, hash TEXT NOT NULL, status TEXT NOT NULL,
        since INTEGER NOT NULL, lineage TEXT NOT NULL, file TEXT NOT NULL, text TEXT NOT NULL, project TEXT NOT NULL
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE definition_changes (
        position INTEGER PRIMARY KEY, id TEXT NOT NULL, version INTEGER NOT NULL, content TEXT NOT NULL,
        change TEXT NOT NULL, at INTEGER NOT NULL, actor TEXT NOT NULL, note TEXT NOT NULL, replaced TEXT,
        replaced_version INTEGER, diff TEXT NOT NULL, trend TEXT, overlap_until INTEGER
    )
    """,
    "CREATE TABLE definition_files (id TEXT PRIMARY KEY, content TEXT NOT NULL) WITHOUT ROWID",
    "ALTER TABLE signals ADD COLUMN live_after INTEGER NOT NULL DEFAULT 0",
    "UPDATE signals SET live_after = filled_to",
    # When the end of the log is erased its positions are given out again. Events there bring their marks with them, so
    # nothing may still be waiting to read them again.
    """
    CREATE TRIGGER the_log_got_shorter AFTER DELETE ON events
    WHEN NOT EXISTS (SELECT 1 FROM events WHERE seq > OLD.seq)
    BEGIN
        UPDATE signals SET live_after = (SELECT coalesce(max(seq), 0) FROM events)
        WHERE live_after > (SELECT coalesce(max(seq), 0) FROM events);
    END
    """,
)


@migrations()
def m003_versions(db: Database) -> None:
    """The register of definitions, and signals that are filled while events arrive."""
    for statement in _VERSIONS:
        db.execute(statement)


# A link's key tells by whose authority it is and in which direction, so that an order of arrival cannot hide either.
_IDENTITY = """
CREATE TABLE ledger (
    low BLOB NOT NULL, high BLOB NOT NULL, kind TEXT NOT NULL, authorised INTEGER NOT NULL DEFAULT 0,
    former BLOB NOT NULL DEFAULT x'', as_user BLOB, at INTEGER NOT NULL, event_id BLOB NOT NULL,
    rule_version INTEGER NOT NULL DEFAULT 1, state TEXT NOT NULL DEFAULT 'active', reason TEXT,
    again INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (low, high, kind, authorised, former)
) WITHOUT ROWID;
INSERT INTO ledger (low, high, kind, at, event_id, rule_version, state, reason)
    SELECT low, high, kind, at, event_id, rule_version, state, reason FROM links WHERE kind != 'alias';
INSERT INTO ledger (low, high, kind, at, event_id, former)
    SELECT low, high, kind, links.at, event_id, iif(events.leaf = low, high, low)
    FROM links JOIN events USING (event_id) WHERE kind = 'alias';
DROP TABLE links;
ALTER TABLE ledger RENAME TO links;
CREATE INDEX links_by_high ON links (high);
CREATE INDEX links_by_user_reading ON links (as_user) WHERE as_user IS NOT NULL;
CREATE INDEX links_refused ON links (reason) WHERE state != 'active';
CREATE TABLE identity_acts (
    act_id BLOB NOT NULL, low BLOB NOT NULL, high BLOB NOT NULL, at INTEGER NOT NULL, actor TEXT NOT NULL,
    action TEXT NOT NULL, note TEXT NOT NULL, former BLOB NOT NULL,
    PRIMARY KEY (low, high, act_id)
) WITHOUT ROWID;
CREATE INDEX identity_acts_by_high ON identity_acts (high);
ALTER TABLE people ADD COLUMN shared_from INTEGER;
ALTER TABLE memberships ADD COLUMN last_at INTEGER NOT NULL DEFAULT 0;
UPDATE memberships SET last_at = valid_from;
"""


@migrations()
def m004_identity(db: Database) -> None:
    """The link ledger with authority, direction and admins' words; shared leaves; memberships that end."""
    for statement in _IDENTITY.split(";"):
        if statement.strip():
            db.execute(statement)


_CONSENT = """
ALTER TABLE consent_log ADD COLUMN expires_at INTEGER;
ALTER TABLE consent_log ADD COLUMN policy TEXT;
ALTER TABLE consent_log ADD COLUMN source TEXT;
CREATE INDEX consent_log_by_event ON consent_log (event_id);
CREATE INDEX consent_doubts ON consent_log (subject, purpose) WHERE state != 'granted' OR expires_at IS NOT NULL;
ALTER TABLE consent_snapshots ADD COLUMN decision TEXT NOT NULL DEFAULT '{}';
ALTER TABLE traits ADD COLUMN scored INTEGER NOT NULL DEFAULT 1;
UPDATE traits SET scored = 0 WHERE event_id IN (SELECT event_id FROM events WHERE scored = 0);
CREATE TABLE consent_waiting (
    leaf BLOB NOT NULL, at INTEGER NOT NULL, event_id BLOB NOT NULL, purposes TEXT NOT NULL,
    PRIMARY KEY (leaf, at, event_id)
) WITHOUT ROWID;
CREATE INDEX consent_waiting_by_event ON consent_waiting (event_id);
CREATE TABLE dropped (
    event_id BLOB PRIMARY KEY, source TEXT NOT NULL, received_at INTEGER NOT NULL, consent_id BLOB
) WITHOUT ROWID;
CREATE TABLE source_versions (
    source TEXT NOT NULL, since INTEGER NOT NULL, document TEXT NOT NULL, PRIMARY KEY (source, since)
) WITHOUT ROWID;
INSERT INTO source_versions SELECT id, changed_at, document FROM sources
"""
# Whatever the settings of a source were when an event came, they can be shown. And no line of the log is ever changed,
# but for whom it is about and what it quotes, which erasure replaces.
_CONSENT_TRIGGERS = (
    """
    CREATE TRIGGER a_source_was_made AFTER INSERT ON sources
    BEGIN INSERT OR REPLACE INTO source_versions VALUES (NEW.id, NEW.changed_at, NEW.document); END
    """,
    """
    CREATE TRIGGER a_source_was_changed AFTER UPDATE ON sources WHEN NEW.document != OLD.document
    BEGIN INSERT OR REPLACE INTO source_versions VALUES (NEW.id, NEW.changed_at, NEW.document); END
    """,
    """
    CREATE TRIGGER the_consent_log_is_append_only
    BEFORE UPDATE OF purpose, at, state, signal, basis, policy_version, received_at, expires_at, policy, source
    ON consent_log BEGIN SELECT RAISE(ABORT, 'the consent log is append-only'); END
    """,
)


@migrations()
def m005_consent(db: Database) -> None:
    """Consent with expiry, policy and decision; events that wait for a grant, or were dropped; sources over time."""
    for statement in (*_CONSENT.split(";"), *_CONSENT_TRIGGERS):
        db.execute(statement)


_RIGHTS = """
CREATE TABLE privacy_requests (
    request_id BLOB PRIMARY KEY, kind TEXT NOT NULL, state TEXT NOT NULL, requested_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL, asked_by TEXT NOT NULL, reason TEXT NOT NULL, keeps_events INTEGER NOT NULL,
    finished_at INTEGER, counts TEXT NOT NULL DEFAULT '{}', certificate TEXT,
    step INTEGER NOT NULL DEFAULT 0, cursor TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE TABLE privacy_subjects (request_id BLOB NOT NULL, id BLOB NOT NULL, PRIMARY KEY (request_id, id)) WITHOUT ROWID;
CREATE INDEX privacy_subjects_by_id ON privacy_subjects (id);
CREATE TABLE privacy_concerned (
    request_id BLOB NOT NULL, kind TEXT NOT NULL, entity BLOB NOT NULL, said_traits INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (request_id, kind, entity)
) WITHOUT ROWID;
CREATE TABLE suppressions (
    id BLOB PRIMARY KEY, request_id BLOB NOT NULL, created_at INTEGER NOT NULL, keeps_events INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE recipients (entity BLOB NOT NULL, endpoint TEXT NOT NULL, PRIMARY KEY (entity, endpoint)) WITHOUT ROWID;
ALTER TABLE tombstones ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;
CREATE INDEX tombstones_by_generation ON tombstones (generation);
CREATE INDEX participations_by_account ON participations (account);
CREATE INDEX conflicts_by_leaf ON conflicts (leaf);
CREATE INDEX conflicts_by_receipt ON conflicts (received_at);
CREATE INDEX quarantine_by_receipt ON quarantine (received_at);
CREATE INDEX outbox_by_entity ON outbox (entity);
CREATE INDEX events_by_consent ON events (consent_id) WHERE consent_id IS NOT NULL;
CREATE INDEX dropped_by_consent ON dropped (consent_id) WHERE consent_id IS NOT NULL;
"""


@migrations()
def m006_rights(db: Database) -> None:
    """Requests of persons, suppressions, and what finding a person's rows needs."""
    for statement in _RIGHTS.split(";"):
        if statement.strip():
            db.execute(statement)
