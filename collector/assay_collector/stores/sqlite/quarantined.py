"""Messages in quarantine that name a person: found by what they say, since nothing else is known of them."""

import json
from collections.abc import Iterator, Sequence
from sqlite3 import Connection

import msgspec

from assay_collector.identity.mentions import Mention, mentions
from assay_collector.store import Source
from assay_collector.stores.sqlite.rows import select_in

# So many messages are looked through at a time.
PAGE_ROWS = 2_000


def naming(connection: Connection, ids: Sequence[bytes], after: bytes) -> tuple[list[bytes], bytes | None]:
    """
    The messages of a page that name any of these identities.

    Args:
        after: The last message of the page before.

    Returns:
        Their ids, and the last message of the page; None: it was the last page.
    """
    wanted = _wanted(connection, ids)
    page = "SELECT quarantine_id, source, raw FROM quarantine WHERE quarantine_id > ? ORDER BY quarantine_id LIMIT ?"
    needles = [needle for values in wanted.values() for _, value in values for needle in _needles(value)]
    # SQLite looks for the bytes; only what could be meant is read. With escapes in it, anything could.
    likely = " OR ".join(["instr(raw, x'5c75') > 0", *("instr(raw, ?) > 0" for _ in needles), *_by_email(wanted)])
    rows = connection.execute(f"SELECT * FROM ({page}) WHERE {likely}", (after, PAGE_ROWS, *needles))
    namespaces = _namespaces(connection)
    found = [
        quarantine_id
        for quarantine_id, source, raw in rows
        if not wanted.get(namespaces.get(source, ""), frozenset()).isdisjoint(mentions(raw))
    ]
    last = connection.execute(
        "SELECT quarantine_id FROM quarantine WHERE quarantine_id > ? ORDER BY quarantine_id LIMIT 1 OFFSET ?",
        (after, PAGE_ROWS - 1),
    ).fetchone()
    return found, None if last is None else last[0]


def all_naming(connection: Connection, ids: Sequence[bytes]) -> Iterator[bytes]:
    """The ids of all of them."""
    after: bytes | None = b""
    while after is not None:
        found, after = naming(connection, ids, after)
        yield from found


def _wanted(connection: Connection, ids: Sequence[bytes]) -> dict[str, frozenset[Mention]]:
    """The raw identifiers behind these, by namespace."""
    found: dict[str, set[Mention]] = {}
    for type, namespace, value in select_in(
        connection, "SELECT type, namespace, value FROM identifiers WHERE id IN ({})", ids
    ):
        found.setdefault(namespace, set()).add((type, value))
    return {namespace: frozenset(values) for namespace, values in found.items()}


def _needles(value: str) -> set[bytes]:
    """The bytes by which JSON may write a value."""
    texts = {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    return {text.encode("utf-8", "surrogatepass") for text in texts}


def _by_email(wanted: dict[str, frozenset[Mention]]) -> list[str]:
    """Of an address only its hash is kept, so whatever names any address must be read."""
    has_email = any(type in ("email_hash", "device") for values in wanted.values() for type, _ in values)
    return ["instr(raw, x'22656d61696c22') > 0", "instr(raw, x'22646576696365') > 0"] if has_email else []


def _namespaces(connection: Connection) -> dict[str, str]:
    rows = connection.execute("SELECT id, document FROM sources")
    return {id: msgspec.json.decode(document, type=Source).namespace for id, document in rows}
