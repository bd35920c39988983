"""Consent from the door to the verdict: what is refused is neither scored nor sent, in whatever order it is told."""

from sqlite3 import IntegrityError

import msgspec
import pytest

from assay_collector.deliver.permission import Permission
from assay_collector.store import OutboxMessage, Source
from qualify.house import IDENTIFY, House
from qualify.wire import DAY, HOUR, MINUTE, NOW, START, Message, identify, times, track

_numbers = iter(range(10_000))
DROPPING = Source(id="dropping", name="d", on_deny={"analytics": "drop", "pql_scoring": "drop"})
HIDING = Source(id="hiding", name="h", on_deny={"pql_scoring": "anonymise"})

ACTIVATED = [track("Account Created", START, "ada"), track("Project Created", START + HOUR, "ada")]


def tasks(n: int, at: int = START + 2 * HOUR, user: str = "ada", **how: object) -> list[Message]:
    return times(n, "Task Assigned", at, user, **how)


def states(at: int, user: str | None = "ada", *, anon: str | None = None, **fields: object) -> Message:
    """A statement of consent."""
    said = {"type": "consent", "messageId": f"c-{next(_numbers)}", "userId": user, "anonymousId": anon, "at": at / 1e6}
    return {key: value for key, value in {**said, **fields}.items() if value is not None}


def granted(at: int, **fields: object) -> Message:
    return states(at, purposes={"pql_scoring": "granted", "analytics": "granted"}, **fields)


def refused(at: int, **fields: object) -> Message:
    return states(at, purposes={"pql_scoring": "withdrawn"}, **fields)


def strictly(*messages: Message) -> list[Message]:
    """Through a source that may score nobody who has not agreed."""
    return [{**message, "source": "strict"} for message in messages]


# --- statements, and events that wait for them ---


def test_a_statement_takes_a_verdict_back_and_says_which_criteria_were_lost(house: House):
    """With cause consent; the audit row quotes what was, and what is left."""
    house.take_in(*ACTIVATED, *tasks(3))
    assert {"ada"} == house.since("trial-activation").keys()
    house.take_in(refused(START + DAY))

    assert {} == house.since("trial-activation")
    last = [row for row in house.ledger() if row.definition == "trial-activation"][-1]
    audit = msgspec.json.decode(last.evidence)
    assert ("retracted", "consent", "consent") == (last.change, last.cause, audit["because"])
    assert {("projects", 1, None), ("tasks", 3, None)} == {(r["criterion"], r["was"], r["is"]) for r in audit["lost"]}
    shown = house.reader().qualifications("user", "ada")
    assert shown is not None
    (verdict,) = [v for v in shown["entities"][0]["definitions"] if v["definition"] == "trial-activation"]
    assert verdict["history"][-1]["audit"].startswith("criterion lost: consent (")


@pytest.mark.parametrize("grant_first", [True, False], ids=["the grant first", "the events first"])
def test_a_grant_in_the_log_lets_events_of_a_strict_source_count(house: House, grant_first: bool):
    """From when it was given on, whichever arrives first."""
    events = strictly(*ACTIVATED, *tasks(3))
    before = strictly(track("Project Created", START - HOUR, "ada"))
    grant = [granted(START)]
    first, then = (grant, [*events, *before]) if grant_first else ([*events, *before], grant)
    house.take_in(*first)
    house.take_in(*then)

    assert {"ada": START + 2 * HOUR + 2 * 60_000_000} == house.since("trial-activation")
    assert 0 == sum(row.n for row in house.tallies() if hasattr(row, "n") and row.last_at < START)
    assert () == house.differences()


def test_without_a_grant_a_strict_source_scores_nobody(house: House):
    """Nor does another person's grant help, or one for another purpose."""
    house.take_in(*strictly(*ACTIVATED, *tasks(3)))
    house.take_in(granted(START, user="bob"), states(START, purposes={"sales_contact": "granted"}))

    assert ({}, 0) == (house.since("trial-activation"), len(house.tallies()))


def test_a_grant_on_a_browser_does_not_let_the_persons_events_count(house: House):
    """It speaks for the browser's own."""
    house.take_in(*strictly(*ACTIVATED, *tasks(3)), identify(START, "ada", anon="v1"))
    house.take_in(granted(START, user=None, anon="v1"))

    assert {} == house.since("trial-activation")


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_what_happened_while_somebody_refused_stays_out(house: House, order: tuple[int, ...]):
    """Silent as it was; what came before the refusal and after the grant counts, in whatever order all of it comes."""
    told = [[refused(START + DAY)], [granted(START + 3 * DAY)], tasks(1, START + 2 * DAY) + tasks(2)]
    house.take_in(*ACTIVATED)
    for index in order:
        house.take_in(*told[index])
    assert {} == house.since("trial-activation")
    house.take_in(*tasks(1, START + 4 * DAY))

    assert {"ada": START + 4 * DAY} == house.since("trial-activation")
    assert () == house.differences()


def test_what_a_colleague_did_while_refusing_does_not_count_for_the_account(house: House):
    """The part of an hour before the refusal does."""
    call = {"env": "production", "status": 200}
    at = [START, START + MINUTE, START + 2 * MINUTE, START + DAY]
    house.take_in(refused(START + MINUTE), granted(START + 2 * MINUTE))
    house.take_in(track("API Called", at[1], "ada", account="acme", **call))
    assert {} == house.since("production-call")
    house.take_in(track("API Called", at[3], "ada", account="acme", **call))
    assert {"acme": at[3]} == house.since("production-call")
    house.take_in(track("API Called", at[2], "ada", account="acme", **call))
    assert {"acme": at[2]} == house.since("production-call")
    house.take_in(track("API Called", at[0], "ada", account="acme", **call))

    assert {"acme": at[0]} == house.since("production-call")


def test_traits_of_events_that_may_not_be_scored_are_not_read(house: House):
    """Until a grant lets them."""
    house.take_in(*strictly(identify(START, "ada", role="admin")))
    gathered = _traits(house)
    house.take_in(granted(START - 1))

    assert ([False], [True]) == (gathered, _traits(house))


def _traits(house: House) -> list[bool]:
    with house.store.snapshot() as facts:
        return [change.scored for change in facts.traits([IDENTIFY("default", "user", "ada")], ["role"])]


def test_a_grant_that_ends_takes_the_verdict_back_when_it_ends(house: House):
    """No event is needed for it, and the row says that consent was lost."""
    until = START + 5 * DAY
    messages = strictly(granted(START, expiresAt=until / 1e6), *ACTIVATED, *tasks(3))
    house.take_in(*messages, now=START + DAY)
    assert {"ada"} == house.since("trial-activation").keys()
    assert until == house.next_due()
    house.decide(until)

    assert {} == house.since("trial-activation")
    assert ("retracted", "consent") == (house.ledger()[-1].change, house.ledger()[-1].cause)


# --- what becomes of refused events ---


def test_a_dropped_event_is_counted_and_can_be_asked_for(house: House):
    """Nothing of it is stored but that it came; its word is logged, and binds what was stored before."""
    house.take_in(*ACTIVATED, *tasks(3))
    no = {**track("Task Assigned", START + DAY, "ada", scoring=False), "messageId": "no"}
    outcomes = house.receive([no, no], source=DROPPING)
    house.decide()

    assert ["refused", "refused"] == [outcome.status for outcome in outcomes]
    assert {"consent_denied": 2} == house.store.events.counts().refused
    (line,) = house.store.events.receipts("no")
    assert ("refused", "consent_denied", "dropping") == (line.status, line.code, line.source)
    assert {} == house.since("trial-activation")


def test_who_refused_before_is_dropped_in_silence_too(house: House):
    """Also on another browser of theirs, and in the same batch; not where another source keeps it."""
    house.take_in(identify(START, "ada", anon="v1"))
    house.receive([refused(START + HOUR)])
    said = [track("Task Assigned", START + DAY, "ada"), track("Task Assigned", START + DAY, anon="v1")]

    assert ["refused", "refused"] == [o.status for o in house.receive(said, source=DROPPING)]
    assert ["stored"] == [o.status for o in house.receive([track("Task Assigned", START + DAY, "ada")])]
    assert ["refused"] == [o.status for o in house.receive(said[:1], source=DROPPING)]
    batch = [refused(START, user="eve"), track("Task Assigned", START + DAY, "eve")]
    assert ["stored", "refused"] == [o.status for o in house.receive(batch, source=DROPPING)]
    again = [granted(START + 2 * DAY), track("Task Assigned", START + 3 * DAY, "ada")]
    assert ["stored", "stored"] == [o.status for o in house.receive(again, source=DROPPING)]


def test_an_anonymised_event_leads_to_nobody(house: House):
    """No id, no exact time, no address; what was done, on which day, in what kind of browser."""
    no = track(
        "Task Assigned", START + 90 * 60_000_000, "ada", scoring=False, seats=3, owner_id="ada", by="ada@x.example"
    )
    no["context"] |= {
        "userAgent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/128.0",
        "ip": "203.0.113.9",
        "page": {"a": 1},
    }
    (outcome,) = house.receive([no], source=HIDING)
    ((_, event),) = house.store.events.scan()

    assert ("stored", bytes(16), None, 0) == (outcome.status, event.leaf, event.account, event.at % DAY)
    assert ({"seats": 3}, {"userAgent": "Firefox/128 (Linux)"}) == (
        msgspec.json.decode(event.properties),
        msgspec.json.decode(event.context),
    )
    assert (None, None, 0, False) == (event.original_at, event.sent_at, event.received_at % DAY, event.scored)
    ada = IDENTIFY("default", "user", "ada")
    assert house.store.events.identifier(ada) is None
    with house.store.snapshot() as facts:
        (entry,) = facts.consents([ada], ["pql_scoring"])
        assert [] == facts.events_of(ada, 0, NOW + DAY)
    assert ("denied", None) == (entry.state, entry.event_id)


# --- what may be sent ---


def test_a_message_about_who_refuses_its_purpose_may_not_leave(house: House):
    """The person is asked, whichever of its ids the message is under; accounts are nobody."""
    permission = Permission(house.store.snapshot)
    house.take_in(identify(START, "ada", anon="v1"))

    def allowed(purpose: str, name: str = "ada", kind: str = "user", type: str = "pql.qualified") -> bool:
        message = OutboxMessage("m", "crm", IDENTIFY("default", kind, name), type, b"{}", NOW)  # type: ignore[arg-type]
        return permission.allows(message, purpose, NOW)

    assert allowed("sales_contact")
    house.receive([{**track("Signed In", START, anon="v1"), "context": {"gpc": True}}])
    assert [False, False, True] == [allowed(p) for p in ("sales_contact", "third_party_share", "enrichment")]
    assert not allowed("sales_contact", "v1", "anonymous")
    assert allowed("sales_contact", type="privacy.erased")
    assert allowed("sales_contact", "acme", "account")
    house.take_in(states(START + 1, purposes={"sales_contact": "granted"}))
    assert [True, False] == [allowed("sales_contact"), allowed("third_party_share")]


def test_where_a_source_asks_first_silence_forbids_sending(house: House):
    """Until the person agrees."""
    asking = Source(id="asking", name="a", consent={"sales_contact": "opt_in"})
    house.receive(ACTIVATED, source=asking)
    message = OutboxMessage("m", "crm", IDENTIFY("default", "user", "ada"), "pql.qualified", b"{}", NOW)
    permission = Permission(house.store.snapshot)
    assert not permission.allows(message, "sales_contact", NOW)
    house.receive([states(START, purposes={"sales_contact": "granted"})])

    assert permission.allows(message, "sales_contact", NOW)
    with house.store.snapshot() as facts:
        log = facts.consents([IDENTIFY("default", "user", "ada")], ["sales_contact"])
    assert ["policy", "statement"] == sorted(entry.signal for entry in log)


# --- what can be computed again ---


def test_verify_sees_that_the_log_bears_out_what_counts(house: House):
    """Also where the file was changed behind the collector's back."""
    house.take_in(*strictly(*ACTIVATED), granted(START))
    assert () == house.differences()
    with house.store.database.transaction() as connection:
        connection.execute("DELETE FROM consent_log WHERE state = 'granted'")

    assert ["it counts, which the consent log does not bear out"] * 2 == [
        line.partition(": ")[2] for line in house.differences() if line.startswith("event")
    ]


def test_the_log_is_never_changed(house: House):
    """But for whom a line is about and what it quotes, which erasure replaces."""
    house.take_in(refused(START))
    with (
        pytest.raises(IntegrityError, match="the consent log is append-only"),
        house.store.database.transaction() as connection,
    ):
        connection.execute("UPDATE consent_log SET state = 'granted'")
    with house.store.database.transaction() as connection:
        connection.execute("UPDATE consent_log SET subject = x'00', evidence = 'null'")
