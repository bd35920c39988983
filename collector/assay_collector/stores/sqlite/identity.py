"""Who is who over one SQLite file: the link ledger, the words of admins, people, memberships."""

from collections.abc import Iterable, Mapping, Sequence
from sqlite3 import Connection

from assay.contract.times import INSTANT_MAX, INSTANT_MIN
from assay_collector.identity.people import Decision
from assay_collector.identity.rules import RULE_VERSION
from assay_collector.store import IdentityAct, Link, LinkRow, Membership, Resolution
from assay_collector.stores.sqlite.rows import select_in

_COLUMNS = "low, high, kind, at, event_id, authorised, former, as_user, state, reason, rule_version, again"
# The earliest observation is the one that counts, so that order of arrival does not show.
_UPSERT_LINK = f"""
    INSERT INTO links (low, high, kind, at, event_id, authorised, former, as_user, rule_version)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, {RULE_VERSION})
    ON CONFLICT (low, high, kind, authorised, former) DO UPDATE SET at = min(at, excluded.at),
        event_id = iif((excluded.at, excluded.event_id) < (at, event_id), excluded.event_id, event_id),
        again = again + (state = 'undone')
    WHERE (excluded.at, excluded.event_id) < (at, event_id) OR state = 'undone'
"""
_DECIDE_LINK = f"""
    UPDATE links SET state = ?1, reason = ?2, rule_version = {RULE_VERSION}, again = iif(?1 = 'undone', again, 0)
    WHERE low = ?3 AND high = ?4 AND kind = ?5 AND authorised = ?6 AND former = ?7
        AND (state, reason, rule_version) IS NOT (?1, ?2, {RULE_VERSION})
"""
_UPSERT_PERSON = """
    INSERT INTO people (leaf, person, shared_from) VALUES (?, ?, ?)
    ON CONFLICT (leaf) DO UPDATE SET person = excluded.person, shared_from = excluded.shared_from
    WHERE (person, shared_from) IS NOT (excluded.person, excluded.shared_from)
"""
_INSERT_ACT = """
    INSERT INTO identity_acts (act_id, low, high, at, actor, action, note, former) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO NOTHING
"""
# valid_from: when it first belonged, or never; last_at: when it last did; valid_to: when it last was said to have left.
# Each is a minimum or a maximum, so that order does not show.
_UPSERT_MEMBERSHIP = """
    INSERT INTO memberships (leaf, account, valid_from, event_id, role, last_at, valid_to) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (leaf, account) DO UPDATE SET
        event_id = iif((excluded.valid_from, excluded.event_id) < (valid_from, event_id), excluded.event_id, event_id),
        role = iif((excluded.valid_from, excluded.event_id) < (valid_from, event_id), excluded.role, role),
        valid_from = min(valid_from, excluded.valid_from), last_at = max(last_at, excluded.last_at),
        valid_to = coalesce(max(valid_to, excluded.valid_to), valid_to, excluded.valid_to)
    WHERE (excluded.valid_from, excluded.event_id) < (valid_from, event_id) OR excluded.last_at > last_at
        OR excluded.valid_to > coalesce(valid_to, excluded.valid_to - 1)
"""
_NEVER = INSTANT_MAX + 1


def write_links(connection: Connection, links: Iterable[Link]) -> None:
    """Add observations to the ledger."""
    rows = [
        (row.low, row.high, row.kind, row.at, row.event_id, row.authorised, row.former, row.as_user)
        for row in dict.fromkeys(links)
    ]
    connection.executemany(_UPSERT_LINK, rows)


def write_memberships(connection: Connection, memberships: Iterable[Membership]) -> None:
    """Add what was said of who belongs where, and who left."""
    connection.executemany(_UPSERT_MEMBERSHIP, [_membership_values(row) for row in dict.fromkeys(memberships)])


def _membership_values(row: Membership) -> tuple[object, ...]:
    if row.left_at is None:
        return row.leaf, row.account, row.at, row.event_id, row.role, row.at, None
    return row.leaf, row.account, _NEVER, row.event_id, None, INSTANT_MIN, row.left_at


def select_memberships(
    connection: Connection, *, leaves: Sequence[bytes] = (), accounts: Sequence[bytes] = ()
) -> list[Membership]:
    """What came of all that was said, of these leaves or accounts."""
    columns = "leaf, account, valid_from, event_id, role, iif(valid_to > last_at, valid_to, NULL)"
    rows = {
        *select_in(connection, f"SELECT {columns} FROM memberships WHERE leaf IN ({{}})", leaves),
        *select_in(connection, f"SELECT {columns} FROM memberships WHERE account IN ({{}})", accounts),
    }
    return [Membership(*row) for row in rows if row[2] != _NEVER]


def departed(connection: Connection) -> set[tuple[bytes, bytes]]:
    """Every leaf and account of which it was said that one left the other."""
    return set(connection.execute("SELECT leaf, account FROM memberships WHERE valid_to IS NOT NULL"))


def spoken_of(connection: Connection, users: Sequence[bytes]) -> set[bytes]:
    """Which of these user ids an alias calls a previous name."""
    return {row[0] for row in select_in(connection, "SELECT as_user FROM links WHERE as_user IN ({})", users)}


def select_links(connection: Connection, ids: Sequence[bytes]) -> list[LinkRow]:
    """Links with an end among these, or a previous name that is one of them read as a user id."""
    rows = {
        row
        for side in ("low", "high", "as_user")
        for row in select_in(connection, f"SELECT {_COLUMNS} FROM links WHERE {side} IN ({{}})", ids)
    }
    return [LinkRow(*row) for row in rows]


def write_resolutions(connection: Connection, resolutions: Iterable[Resolution]) -> None:
    """Write who is who, and what became of each link."""
    for resolution in resolutions:
        shared = resolution.shared_from
        connection.executemany(
            _UPSERT_PERSON, [(leaf, person, shared.get(leaf)) for leaf, person in resolution.people.items()]
        )
        connection.executemany(
            _DECIDE_LINK, [(decision.state, decision.reason, *key) for key, decision in resolution.links.items()]
        )


def select_shared(connection: Connection, leaves: Sequence[bytes]) -> dict[bytes, int]:
    """See Facts.shared_from."""
    sql = "SELECT leaf, shared_from FROM people WHERE shared_from IS NOT NULL AND leaf IN ({})"
    return dict(select_in(connection, sql, leaves))


# --- the words of admins ---


def write_act(connection: Connection, act: IdentityAct) -> None:
    """Append an admin's word; what links two identifiers is a link of its own too."""
    connection.executemany(
        _INSERT_ACT,
        [(act.act_id, *pair, act.at, act.actor, act.action, act.note, act.former) for pair in act.pairs],
    )
    if act.action != "undo":
        kind = "admin" if act.action == "link" else "rename"
        write_links(connection, [Link(*pair, kind, act.at, act.act_id, former=act.former) for pair in act.pairs])


def select_acts(connection: Connection, ids: Sequence[bytes]) -> list[IdentityAct]:
    """See Facts.acts_of."""
    columns = "act_id, low, high, at, actor, action, note, former"
    rows = {
        row
        for side in ("low", "high")
        for row in select_in(connection, f"SELECT {columns} FROM identity_acts WHERE {side} IN ({{}})", ids)
    }
    acts: dict[bytes, IdentityAct] = {}
    for act_id, low, high, at, actor, action, note, former in sorted(rows):
        before = acts[act_id].pairs if act_id in acts else ()
        acts[act_id] = IdentityAct(act_id, at, actor, action, (*before, (low, high)), note, former)
    return sorted(acts.values(), key=lambda act: (act.at, act.act_id))


def select_linked(connection: Connection) -> list[bytes]:
    """One end of every link, so that every component is reached."""
    return [row[0] for row in connection.execute("SELECT DISTINCT low FROM links")]


def count_links(connection: Connection) -> Mapping[str, int]:
    """See Agenda.link_counts."""
    sql = "SELECT reason, count(*) FROM links WHERE state != 'active' GROUP BY reason"
    refused = "SELECT reason, sum(n) FROM counters WHERE name = 'link_refused' GROUP BY reason"
    again = "SELECT 'observed_after_undo', sum(again) FROM links WHERE state != 'active' HAVING sum(again) > 0"
    return dict(sorted((*connection.execute(sql), *connection.execute(refused), *connection.execute(again))))


def decision_of(row: LinkRow) -> Decision:
    """What a stored link says became of it."""
    return Decision(row.state, row.reason)  # type: ignore[arg-type]
