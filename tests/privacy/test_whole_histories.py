"""Whole histories: messages, links, undos, consent and erasures, in random order, equal a naive replay."""

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.contract.ids import event_id
from assay.contract.times import HOUR, MINUTE, format_instant
from assay_collector.identity.people import pair_of
from assay_collector.pql.language import read_definitions
from assay_collector.privacy.office import AlreadyErased, Subject, UnknownSubject
from assay_collector.privacy.redaction import redaction
from assay_collector.store import IdentityAct, Source
from privacy.chronicle import Chronicle, Identifier, Told, id_of
from privacy.house import KEY, Desk, open_desk
from qualify.retelling import named
from qualify.wire import NOW, START, Message, group, identify, track

LATER = NOW + HOUR
MERGING = Source(id="merging", name="merging", allow_user_merge=True)
# Names that occur nowhere else, so that a search for them finds what is left of somebody.
USERS = ("ada-7f31", "bob-5c22", "cyd-9e07")
VISITORS = ("visit-41", "visit-83")
ACCOUNTS = ("acme-inc", "globex-co")
# What is kept of the erased, and names nobody: keyed hashes, and how much of what went.
KEPT = {"consent_log", "tombstones", "privacy_requests", "privacy_subjects"}

HEAD = """
pql: {{id: {id}, version: 1, entity: {entity}, stage: activation, owner: growth}}
why: Because.
predicts: {{event: Subscription Started, within: 30 days}}
{body}
lifecycle: {{requalify: {{after: 0 days}}}}
"""
BODIES = {
    "two": ("user", "signals: {made: {count: Made}}\nqualify: {made: at least 2}"),
    "role": ("user", "qualify: {user.role: admin}"),
    "trial": ("user", "signals: {made: {count: Made}}\nqualify: {made: at least 1, account.plan: trial}"),
    "three": ("account", "signals: {made: {count: Made}}\nqualify: {made: at least 3}"),
    "pair": ("account", "signals: {people: {distinct: any, of: user_id}}\nqualify: {people: at least 2}"),
}
CATALOGUE = read_definitions(
    {
        "project.yaml": "project: whole\n",
        **{f"{id}.yaml": HEAD.format(id=id, entity=entity, body=body) for id, (entity, body) in BODIES.items()},
    }
)

# --- histories --------------------------------------------------------------------------------------------------------

_WHOS = st.sampled_from(
    [(user, None) for user in (*USERS, USERS[0])]
    + [(None, visitor) for visitor in (*VISITORS, VISITORS[0])]
    + [(USERS[0], VISITORS[0])] * 2
    + [(user, visitor) for user in USERS for visitor in VISITORS]
)
_INSTANTS = st.integers(0, 9).map(lambda step: START + step * 20 * MINUTE)
_SOURCES = st.sampled_from(["app"] * 5 + ["strict", "merging"])
_SAID = st.sampled_from([None] * 6 + [True, False])
_STATES = st.sampled_from(["granted", "granted", "denied", "withdrawn"])


def _track(who: Any, at: int, source: str, said: bool | None, account: str | None) -> Message:
    return {**track("Made", at, who[0], anon=who[1], account=account, scoring=said), "source": source}


def _identify(who: Any, at: int, source: str, said: bool | None, traits: dict[str, str]) -> Message:
    return {**identify(at, who[0], anon=who[1], scoring=said, **traits), "source": source}


def _group(who: Any, at: int, source: str, account: str, traits: dict[str, Any]) -> Message:
    return {**group(account, at, who[0], anon=who[1], **traits), "source": source}


def _alias(previous: str, user: str, at: int, source: str) -> Message:
    at_that_time = {"timestamp": format_instant(at), "source": source}
    return {"type": "alias", "userId": user, "previousId": previous, **at_that_time}


def _statement(who: Any, at: int, states: dict[str, str]) -> Message:
    stated = {"type": "consent", "timestamp": format_instant(at), "purposes": states, "source": "app"}
    return {**stated, **{key: id for key, id in zip(("userId", "anonymousId"), who, strict=True) if id is not None}}


_TRACKS = st.builds(_track, _WHOS, _INSTANTS, _SOURCES, _SAID, st.sampled_from([None, None, *ACCOUNTS]))
_ALIASES = st.builds(
    _alias, st.sampled_from([*USERS, *VISITORS]), st.sampled_from(USERS), _INSTANTS, st.sampled_from(["app", "merging"])
)
_STATEMENTS = st.builds(
    _statement,
    _WHOS,
    _INSTANTS,
    st.dictionaries(st.sampled_from(["pql_scoring", "pql_scoring", "analytics"]), _STATES, min_size=1),
)
_MESSAGES = st.one_of(
    _TRACKS,
    _TRACKS,
    _TRACKS,
    st.builds(_identify, _WHOS, _INSTANTS, _SOURCES, _SAID, st.sampled_from([{}, {}, {"role": "admin"}])),
    st.builds(
        _group,
        _WHOS,
        _INSTANTS,
        _SOURCES,
        st.sampled_from(ACCOUNTS),
        st.sampled_from([{}, {"plan": "trial"}, {"left": True}]),
    ),
    _ALIASES,
    _STATEMENTS,
)
_IDS = st.sampled_from([*(("user", name) for name in USERS), *(("anonymous", name) for name in VISITORS)])
_PAIRS = st.tuples(_IDS, _IDS).filter(lambda pair: pair[0] != pair[1])
_WORDS = st.tuples(
    st.sampled_from(["link", "undo", "undo", "rename"]), st.lists(_PAIRS, min_size=1, max_size=2), st.integers(0, 5)
)


def _numbered(messages: Sequence[Message]) -> list[Message]:
    return [{**message, "messageId": f"<message-{index}>"} for index, message in enumerate(messages)]


def _acts(parts: Sequence[Any]) -> list[IdentityAct]:
    found = []
    for number, (action, pairs, step) in enumerate(parts, start=1):
        one, other = pairs[0]
        if action == "rename" and not one[0] == other[0] == "user":
            action = "link"
        said = pairs if action == "undo" else pairs[:1]
        ends = tuple(sorted({pair_of(id_of(a), id_of(b)) for a, b in said}))
        former = id_of(one) if action == "rename" else b""
        found.append(IdentityAct(number.to_bytes(16, "big"), NOW + step, "grace", action, ends, "", former))
    return found


Step = Message | IdentityAct | Identifier  # an identifier: whoever is known by it is to be erased


@st.composite
def _histories(draw: st.DrawFn) -> list[Step]:
    messages = _numbered(draw(st.lists(_MESSAGES, min_size=3, max_size=12)))
    erasures = draw(st.lists(_IDS, min_size=1, max_size=2))
    return [*messages, *_acts(draw(st.lists(_WORDS, max_size=3))), *erasures]


# --- living through one ---------------------------------------------------------------------------------------------


class Life:
    """A history as it arrives: at a real collector and in the chronicle, which must answer alike."""

    def __init__(self, desk: Desk, random: Random) -> None:
        self.desk = desk
        self.chronicle = Chronicle()
        self._random = random
        self._redaction = redaction(lambda: CATALOGUE, KEY)

    def live_through(self, steps: Sequence[Step]) -> None:
        batch: list[Message] = []
        for step in steps:
            is_next = isinstance(step, dict) and (not batch or batch[0]["source"] == step["source"])
            if batch and not (is_next and self._may(0.6)):
                self._receive(batch)
                batch = []
            if isinstance(step, dict):
                batch.append(step)
            elif isinstance(step, IdentityAct):
                self._say(step)
            else:
                answer = self._erase(step)
                assert self.chronicle.erase(step) == answer
                self._go_on()
        self._receive(batch)

    def settle(self) -> None:
        """Erasures are carried out to their end, everybody is decided, and recipients are told."""
        self._finish_erasures()
        self.desk.house.decide(LATER)
        self.desk.deliver()
        self.desk.office.settle()

    def _receive(self, batch: Sequence[Message]) -> None:
        if batch:
            source = MERGING if batch[0]["source"] == "merging" else None
            outcomes = self.desk.house.receive(batch, now=NOW, **({} if source is None else {"source": source}))
            assert [self.chronicle.receive(message) for message in batch] == [each.status for each in outcomes]
            self._go_on()

    def _say(self, act: IdentityAct) -> None:
        """An admin can only speak of who is there, or was a moment ago."""
        if {end for pair in act.pairs for end in pair} <= {
            id_of(each) for each in self.chronicle.seen
        } | self.chronicle.erased:
            self.desk.store.agenda.act(act, NOW)
            self.chronicle.take(act)

    def _erase(self, who: Identifier) -> str:
        type, value = who
        if who not in self.chronicle.seen:
            # Perhaps only the messages of somebody spoke of it whose rows are not gone yet.
            self._finish_erasures()
        try:
            self.desk.office.enter("erase", Subject(value=value, type=type))
        except UnknownSubject:
            return "unknown"
        except AlreadyErased:
            return "already erased"
        return "erased"

    def _go_on(self) -> None:
        """Now and then somebody decides, and a portion of an erasure is carried out."""
        if self._may(0.3):
            self.desk.house.decide(LATER)
        for request_id in self.desk.office.erasures():
            for _ in range(self._random.choice((0, 0, 2, 9))):
                self._carry_on(request_id, rows=self._random.choice((1, 200)))

    def _carry_on(self, request_id: bytes, rows: int) -> bool:
        return self.desk.store.rights.erase_some(request_id, rows, self._redaction, LATER)

    def _finish_erasures(self) -> None:
        for request_id in self.desk.office.erasures():
            while self._carry_on(request_id, rows=200):
                pass

    def _may(self, share: float) -> bool:
        return self._random.random() < share


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    with open_desk(CATALOGUE) as desk:
        desk.clock[0] = LATER
        desk.store.keyring.put_source(MERGING, NOW)
        yield desk


@given(history=_histories(), random=st.randoms(use_true_random=False))
def test_any_history_in_any_order_is_what_a_naive_replay_says(desk: Desk, history: list[Step], random: Random):
    """
    Messages, links, undos, consent and erasures, permuted and repeated, in any batches, with decisions and portions of
    erasures anywhere between: answers, people, memberships, consent, what counts, and verdicts are the replay's.

    What order means: an erasure is an act at the moment of its arrival. It takes whoever is known by the id at that
    moment, by the links and the words of admins as they then are, with all that arrived under any of those ids. What
    arrives under them afterwards is refused; of others' messages, and of an admin's word on several pairs, the part
    that names them is not taken. Whoever is not known yet is not erased, and an id of which only the person's messages
    spoke goes when their rows go. The log of consent is kept, so a no that an erased person left on somebody else's
    browser still binds that browser.

    Between two erasures the order of messages, links, undos and consent does not show: an undo counts by its own time,
    whether it arrives before or after what it undoes. An admin speaks only of ids that are known.
    """
    desk.clear()
    life = Life(desk, random)
    repeated = random.choices(history, k=len(history) // 3)
    life.live_through(random.sample([*history, *repeated], len(history) + len(repeated)))
    life.settle()
    chronicle = life.chronicle
    told = chronicle.told()

    assert_people_are_as_told(desk, told)
    assert_what_counts_is_as_told(desk, told, chronicle)
    assert told.standing() == desk.house.standing()
    assert () == desk.house.differences(LATER)
    assert_nothing_is_left(desk, chronicle, [step for step in history if isinstance(step, dict)])


def assert_people_are_as_told(desk: Desk, told: Told) -> None:
    everybody = sorted(told.everybody())
    with desk.store.snapshot() as facts:
        people = facts.people(everybody)
        assert {id: told.person(id) for id in everybody} == {id: people.get(id, id) for id in everybody}
        assert told.replay.shared_from == facts.shared_from(everybody)
        assert {claim.key: state for claim, state in told.replay.said.items()} == {
            row.claim.key: (row.state, row.reason) for row in facts.links_of(everybody)
        }
        assert told.memberships() == {
            (row.leaf, desk.house.name(row.account), row.at, row.left_at) for row in facts.memberships(leaves=everybody)
        }


def assert_what_counts_is_as_told(desk: Desk, told: Told, chronicle: Chronicle) -> None:
    assert {event_id(h.body["source"], h.body["messageId"]): told.scored(h) for h in told.all} == {
        event.event_id: event.scored for _, event in desk.store.events.scan()
    }
    assert {(w.subject, w.purpose, w.state, w.at) for w in chronicle.words if w.subject not in chronicle.erased} == {
        row for row in select(desk, "subject, purpose, state, at", "consent_log") if row[0] not in chronicle.erased
    }
    seen = {id_of(each) for each in chronicle.seen} | {id_of(("account", name)) for name in told.accounts()}
    assert {(id,) for id in seen} == set(select(desk, "id", "identifiers"))


def select(desk: Desk, columns: str, table: str) -> list[tuple[Any, ...]]:
    with desk.store.database.reading() as connection:
        return connection.execute(f"SELECT {columns} FROM {table}").fetchall()


def assert_nothing_is_left(desk: Desk, chronicle: Chronicle, messages: Sequence[Message]) -> None:
    assert {"done"} >= {request.state for request in desk.office.requests()}
    assert set() == desk.rows_naming(*chronicle.erased).keys() - KEPT
    spoken_of = {each for message in messages for each in named(message)}
    taken = {value for _, value in chronicle.seen}
    names = {value for type, value in spoken_of if id_of((type, value)) in chronicle.erased} - taken
    gone = [message["messageId"] for message in messages if message["messageId"] not in chronicle.messages]
    assert {} == desk.rows_naming(*(text.encode() for text in (*names, *gone)))
