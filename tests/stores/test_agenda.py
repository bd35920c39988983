"""The Agenda port's promises, kept by every adapter: who is due, and what was decided."""

import pytest

from assay.contract.times import HOUR
from assay_collector.pql.happened import ANYTHING, Happened
from assay_collector.store import AgendaEntry, Store, Touch
from builders import ACCOUNT, LEAF, NOW, OTHER_LEAF, an_id, decided, outbox_message, touch, transition


def take(store: Store, now: int = NOW, limit: int = 100) -> list[AgendaEntry]:
    return list(store.agenda.take(now, limit))


def take_one(store: Store, now: int = NOW) -> AgendaEntry:
    [entry] = take(store, now)
    return entry


def ledger(store: Store) -> list[tuple[str, int, str]]:
    with store.snapshot() as facts:
        return [(row.step, row.revision, row.change) for row in facts.ledger("user", [LEAF])]


# --- being due ---


def test_a_touched_entity_is_due_at_once(store: Store):
    """Not before, and with all that it was touched for; person and account of one id are two."""
    store.agenda.touch([touch(), touch(cause="trait"), touch(kind="account")], NOW)

    assert [] == take(store, NOW - 1)
    assert {("user", frozenset({"event", "trait"})), ("account", frozenset({"event"}))} == {
        (entry.kind, entry.causes) for entry in take(store)
    }


def test_taking_leaves_it_on_the_agenda(store: Store):
    """A worker that dies has taken nothing away."""
    store.agenda.touch([touch()], NOW)

    assert take_one(store) == take_one(store)


def test_the_longest_waiting_come_first(store: Store):
    """Up to the limit."""
    for number in (3, 1, 2):
        store.agenda.touch([touch(an_id(number))], NOW + number)

    assert [an_id(1), an_id(2)] == [entry.entity for entry in take(store, NOW + 9, limit=2)]


def test_touching_again_keeps_its_place(store: Store):
    """Whoever is touched all the time is not put off all the time."""
    store.agenda.touch([touch()], NOW)
    store.agenda.touch([touch(OTHER_LEAF)], NOW + 1)
    store.agenda.touch([touch()], NOW + 2)

    assert [(LEAF, NOW), (OTHER_LEAF, NOW + 1)] == [(entry.entity, entry.since) for entry in take(store, NOW + 2)]


def test_who_waits_is_taken_once_with_all_that_happened(store: Store):
    """However often it was touched since, and however few are taken: others wait for one decision, not for many."""
    for number in range(3):
        store.agenda.touch([touch()], NOW + number)
        take(store, NOW - 1)
    store.agenda.touch([touch(OTHER_LEAF)], NOW + 1)
    (first,) = take(store, NOW + 9, limit=1)
    store.agenda.complete([decided(first)], NOW + 9)

    assert [OTHER_LEAF] == [entry.entity for entry in take(store, NOW + 9)]


def test_very_many_are_touched(store: Store):
    """A changed definition concerns everybody."""
    store.agenda.touch((touch(an_id(number), "definition") for number in range(12_000)), NOW)

    assert (12_000, 0) == store.agenda.backlog(NOW)


def test_an_entry_says_what_plain_events_came_to(store: Store):
    """How many, the earliest, and which signals they marked; of a touch that does not say, anything may be true."""
    store.agenda.touch([Touch("user", LEAF, "event", Happened(2, NOW - 5, 1))], NOW)
    store.agenda.touch([Touch("user", LEAF, "adoption", Happened(1, NOW - 9, 4))], NOW)
    store.agenda.touch([touch(OTHER_LEAF)], NOW)

    assert {LEAF: Happened(3, NOW - 9, 5), OTHER_LEAF: ANYTHING} == {e.entity: e.happened for e in take(store)}


def test_what_happens_after_it_was_taken_is_told_apart(store: Store):
    """However often it is touched meanwhile, what was settled is not told again, nor why it was due."""
    store.agenda.touch([touch(cause="trait")], NOW)
    for number in range(1, 4):
        entry = take_one(store)
        store.agenda.touch([Touch("user", LEAF, "event", Happened(number, NOW, 1))], NOW)
        store.agenda.complete([decided(entry)], NOW)

    entry = take_one(store)
    assert ({"event"}, Happened(3, NOW, 1)) == (entry.causes, entry.happened)


# --- being decided ---


def test_a_decided_entity_is_no_longer_due(store: Store):
    """What was decided is in the ledger and in the outbox, with it."""
    store.agenda.touch([touch()], NOW)
    store.agenda.complete([decided(take_one(store), transition(), outbox=(outbox_message(),))], NOW)

    assert ([], [("qualified", 1, "new")], 1) == (take(store), ledger(store), store.outbox.pending())


def test_a_touch_during_a_decision_is_not_lost(store: Store):
    """It came after the facts were read, so the entity stays due, whatever the decision said of its next moment."""
    for next_at in (None, NOW + HOUR):
        store.agenda.touch([touch()], NOW)
        entry = take_one(store)
        store.agenda.touch([touch(cause="trait")], NOW + 1)
        store.agenda.complete([decided(entry, next_at=next_at)], NOW + 2)

        assert [LEAF] == [entry.entity for entry in take(store, NOW + 2)]
        store.agenda.complete([decided(take_one(store, NOW + 2))], NOW + 2)


def test_a_decision_that_comes_late_takes_off_nothing_new(store: Store):
    """Bug: an entry that was settled, then touched anew, looked like the one that a slow worker still held."""
    store.agenda.touch([touch()], NOW)
    entry = take_one(store)
    store.agenda.complete([decided(entry)], NOW)
    store.agenda.touch([touch(cause="trait")], NOW)
    store.agenda.complete([decided(entry)], NOW)

    assert {"trait"} == take_one(store).causes


def test_completing_twice_changes_nothing(store: Store):
    """The same transition is written once, and so is its notification."""
    store.agenda.touch([touch()], NOW)
    result = decided(take_one(store), transition(), outbox=(outbox_message(),), next_at=NOW + HOUR)
    store.agenda.complete([result], NOW)
    store.agenda.complete([result], NOW)

    assert ([("qualified", 1, "new")], 1, NOW + HOUR) == (
        ledger(store),
        store.outbox.pending(),
        take_one(store, NOW + HOUR).due_at,
    )


def test_a_line_of_the_ledger_is_never_rewritten(store: Store):
    """Another transition of the same episode, step and revision is left out."""
    store.agenda.touch([touch()], NOW)
    entry = take_one(store)
    store.agenda.complete([decided(entry, transition(), transition(effective_at=0))], NOW)
    store.agenda.complete([decided(entry, transition(effective_at=1), transition(revision=2, change="corrected"))], NOW)

    with store.snapshot() as facts:
        assert [(1, NOW), (2, NOW)] == [(row.revision, row.effective_at) for row in facts.ledger("user", [LEAF])]


def test_an_entity_may_be_due_again_later(store: Store):
    """Time alone may change a verdict: then it is due for that, and it has waited since then."""
    store.agenda.touch([touch()], NOW)
    store.agenda.complete([decided(take_one(store), next_at=NOW + HOUR)], NOW)

    assert ([], (0, 0)) == (take(store, NOW + HOUR - 1), store.agenda.backlog(NOW + HOUR - 1))
    entry = take_one(store, NOW + HOUR)
    assert ({"timer"}, NOW + HOUR) == (entry.causes, entry.since)


def test_a_touch_brings_a_postponed_entity_forward(store: Store):
    """With its new cause alone: its moment has not come, so it is not decided because of that."""
    store.agenda.touch([touch()], NOW)
    store.agenda.complete([decided(take_one(store), next_at=NOW + HOUR)], NOW)
    store.agenda.touch([touch()], NOW + 1)

    entry = take_one(store, NOW + 1)
    assert ({"event"}, NOW + 1) == (entry.causes, entry.since)


def test_a_timer_outlives_what_is_settled_before(store: Store):
    """It is set anew, and touches in between leave it alone."""
    store.agenda.touch([touch()], NOW)
    store.agenda.complete([decided(take_one(store), next_at=NOW + HOUR)], NOW)
    store.agenda.touch([touch()], NOW + 1)
    store.agenda.complete([decided(take_one(store, NOW + 1), next_at=NOW + 2 * HOUR)], NOW + 1)

    assert ([], {"timer"}) == (take(store, NOW + HOUR), take_one(store, NOW + 2 * HOUR).causes)


def test_a_touch_of_what_is_due_keeps_the_timer_as_a_cause(store: Store):
    """Its moment has come as well."""
    store.agenda.touch([touch()], NOW)
    store.agenda.complete([decided(take_one(store), next_at=NOW + HOUR)], NOW)
    store.agenda.touch([touch()], NOW + HOUR)

    assert {"timer", "event"} == take_one(store, NOW + HOUR).causes


def test_a_decision_touches_whom_it_concerns(store: Store):
    """In the same transaction; also the very entity that was decided."""
    store.agenda.touch([touch()], NOW)
    touches = (touch(ACCOUNT, "identity", "account"), touch(cause="identity"))
    store.agenda.complete([decided(take_one(store), touches=touches)], NOW + 5)

    assert {(ACCOUNT, NOW + 5), (LEAF, NOW + 5)} == {(entry.entity, entry.since) for entry in take(store, NOW + 5)}


def test_a_round_that_fails_has_decided_nothing(store: Store):
    """No transition, no notification, and everybody is still due."""
    store.agenda.touch([touch(), touch(OTHER_LEAF)], NOW)
    first, second = take(store)

    with pytest.raises(OverflowError):
        store.agenda.complete(
            [decided(first, transition(), outbox=(outbox_message(),)), decided(second, transition(effective_at=2**70))],
            NOW,
        )

    assert ([first, second], [], 0) == (take(store), ledger(store), store.outbox.pending())


# --- who is qualified ---


def lead(**fields):
    return transition(**fields)


def qualified(store: Store, *lines, definition: str | None = None, limit: int = 9, offset: int = 0) -> list[bytes]:
    store.agenda.touch([touch()], NOW)
    store.agenda.complete([decided(take_one(store), *lines)], NOW)
    return [row.entity for row in store.agenda.qualified(definition=definition, limit=limit, offset=offset)]


def test_leads_are_the_open_episodes_latest_first(store: Store):
    """Of one definition or of all, in pages."""
    lines = [lead(entity=an_id(n), effective_at=NOW + n, definition="ab"[n % 2]) for n in range(5)]

    assert [an_id(4), an_id(3), an_id(2), an_id(1), an_id(0)] == qualified(store, *lines)
    assert [an_id(2), an_id(0)] == qualified(store, definition="a", offset=1)
    assert [an_id(4)] == qualified(store, limit=1)


@pytest.mark.parametrize(
    ("lines", "is_open"),
    [
        ([lead(step="exited")], False),
        ([lead(step="expired")], False),
        ([lead(step="converted")], False),
        ([lead(step="held")], True),
        ([lead(step="exited"), lead(step="exited", revision=2, change="retracted")], True),
        ([lead(revision=2, change="retracted")], False),
        ([lead(revision=2, change="retracted"), lead(revision=3)], True),
        ([lead(step="exited"), lead(episode=2)], True),
        ([lead(step="exited", definition="other")], True),
        ([lead(step="exited", entity=OTHER_LEAF)], True),
    ],
)
def test_an_episode_is_open_until_it_ends(store: Store, lines, is_open):
    """Exit, expiry and conversion end it; what was retracted does not count; the highest revision speaks."""
    assert is_open == (LEAF in qualified(store, lead(), *lines))


def test_a_corrected_lead_shows_its_last_word(store: Store):
    """One line an episode, with the effective time that holds."""
    qualified(store, lead(), lead(revision=2, change="corrected", effective_at=NOW - 5))

    assert [(2, NOW - 5)] == [
        (row.revision, row.effective_at) for row in store.agenda.qualified(definition=None, limit=9, offset=0)
    ]


# --- the backlog ---


def test_the_backlog_counts_who_is_due_and_how_long(store: Store):
    """The longest wait decides; nobody due, no wait; a clock that went back gives none either."""
    assert (0, 0) == store.agenda.backlog(NOW)
    store.agenda.touch([touch()], NOW)
    store.agenda.touch([touch(OTHER_LEAF)], NOW + 3)

    assert [(0, 0), (1, 1), (2, 10)] == [store.agenda.backlog(now) for now in (NOW - 1, NOW + 1, NOW + 10)]
