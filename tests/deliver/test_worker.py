"""The deliver stage over real SQLite: each message at least once, in order, under one key."""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook

from assay.contract.times import DAY, MINUTE, SECOND
from assay_collector.deliver import Answer, Deliverer, Endpoint, NoAnswer, SendResult
from assay_collector.outbound.http import HttpSender
from assay_collector.store import OutboxMessage, StoreUnavailable
from assay_collector.stores.sqlite.database import Database
from assay_collector.stores.sqlite.outbox import SQLiteOutbox, append

from .builders import NOW, SECRET, a_message, an_endpoint
from .receiver import Received, Reply, receiving

LEASE = 15 * SECOND + MINUTE  # of an endpoint with the default timeout

OK = Answer(status=204)


@dataclass
class RecordingSender:
    """A sender whose world is a function; keeps what arrived."""

    answer: Callable[[Endpoint, OutboxMessage], SendResult] = lambda endpoint, message: OK
    sent: list[OutboxMessage] = field(default_factory=list)

    def send(self, endpoint: Endpoint, message: OutboxMessage, now: int) -> SendResult:
        self.sent.append(message)
        return self.answer(endpoint, message)

    def ids(self) -> list[str]:
        return [message.message_id for message in self.sent]


@contextmanager
def opened(folder: Path, *messages: OutboxMessage) -> Iterator[SQLiteOutbox]:
    database = Database(folder / "assay.db")
    with database.transaction() as connection:
        append(connection, messages)
    try:
        yield SQLiteOutbox(database)
    finally:
        database.close()


@contextmanager
def delivering(
    outbox: SQLiteOutbox, sender: Any, endpoints: Sequence[Endpoint] = (an_endpoint(),), **options: Any
) -> Iterator[Deliverer]:
    deliverer = Deliverer(outbox, sender, endpoints, clock=lambda: NOW, jitter=lambda: 0.0, **options)
    try:
        yield deliverer
    finally:
        deliverer.close()


def test_what_is_accepted_is_sent_once_and_in_order(tmp_path: Path) -> None:
    """One attempt of each entity a round, the oldest first."""
    sender = RecordingSender()
    messages = [a_message(f"m{n}") for n in range(3)]
    with opened(tmp_path, *messages) as outbox, delivering(outbox, sender) as deliverer:
        rounds = [deliverer.run_once(NOW) for _ in range(4)]

        assert [1, 1, 1, 0] == rounds
        assert messages == sender.sent
        assert 0 == outbox.pending()


def test_what_may_not_leave_is_withheld_and_its_successor_asked_for_anew(tmp_path: Path) -> None:
    """Each message is judged when it is about to go, by its endpoint's purpose; what was withheld never goes."""
    asked: list[tuple[str, str]] = []

    def may_send(message: OutboxMessage, purpose: str, now: int) -> bool:
        asked.append((message.message_id, purpose))
        return message.message_id != "m1"

    sender, endpoint = RecordingSender(), an_endpoint(purpose="third_party_share")
    messages = [a_message(f"m{n}") for n in range(3)]
    with (
        opened(tmp_path, *messages) as outbox,
        delivering(outbox, sender, [endpoint], may_send=may_send) as deliverer,
    ):
        for _ in range(4):
            deliverer.run_once(NOW)

        assert [messages[0], messages[2]] == sender.sent
        assert [(f"m{n}", "third_party_share") for n in range(3)] == asked
        assert (0, []) == (outbox.pending(), list(outbox.dead(endpoint=None, limit=9)))


def test_where_nobody_can_say_whether_it_may_leave_it_waits(tmp_path: Path) -> None:
    """The lease runs out, and it is asked again."""
    answers = iter([StoreUnavailable("locked"), True])

    def may_send(*_: object) -> bool:
        answer = next(answers)
        if isinstance(answer, StoreUnavailable):
            raise answer
        return answer

    sender = RecordingSender()
    with opened(tmp_path, a_message()) as outbox, delivering(outbox, sender, may_send=may_send) as deliverer:
        with pytest.raises(StoreUnavailable):
            deliverer.run_once(NOW)
        assert [] == sender.sent
        deliverer.run_once(NOW + LEASE)

        assert (["msg_1"], 0) == (sender.ids(), outbox.pending())


def test_a_failure_is_tried_again_by_the_schedule_and_then_dead(tmp_path: Path) -> None:
    """Ten attempts, each due no earlier than its time, all with the same bytes; the last error is kept."""
    sender = RecordingSender(lambda *_: Answer(status=500, excerpt="oops"))
    with opened(tmp_path, a_message()) as outbox, delivering(outbox, sender) as deliverer:
        assert [1, 0, 1] == [deliverer.run_once(NOW + seconds * SECOND) for seconds in (0, 4, 5)]
        for days in range(1, 20):
            deliverer.run_once(NOW + days * DAY)
        [letter] = outbox.dead(endpoint=None, limit=9)

    assert [a_message()] * 10 == sender.sent
    assert (10, "HTTP 500: oops") == (letter.attempts, letter.last_error)


def test_a_resent_dead_letter_goes_out_under_the_same_key(tmp_path: Path) -> None:
    """Gone yesterday, mended today: the operator resends it."""
    answers = iter([Answer(status=410), OK])
    sender = RecordingSender(lambda *_: next(answers))
    with opened(tmp_path, a_message()) as outbox, delivering(outbox, sender) as deliverer:
        assert [1, 0] == [deliverer.run_once(NOW + DAY * n) for n in range(2)]
        outbox.resend(["msg_1"], NOW + 2 * DAY)
        assert [1, 0] == [deliverer.run_once(NOW + 2 * DAY) for n in range(2)]
        assert 0 == outbox.pending()

    assert [a_message()] * 2 == sender.sent


def test_a_crash_between_sending_and_recording_sends_it_again(tmp_path: Path) -> None:
    """The lease runs out, and the next process sends the same message under the same key."""
    sender = RecordingSender()
    with opened(tmp_path, a_message()) as outbox:
        for delivery in outbox.due("crm", NOW, 10, NOW + LEASE):
            sender.send(an_endpoint(), delivery.message, NOW)
    with opened(tmp_path) as outbox, delivering(outbox, sender) as deliverer:
        assert [0, 1, 0] == [deliverer.run_once(now) for now in (NOW, NOW + LEASE, NOW + 3 * LEASE)]

    assert [a_message()] * 2 == sender.sent


def test_a_result_that_cannot_be_recorded_is_no_loss(tmp_path: Path) -> None:
    """The store goes away while a message is being sent; it is sent again once the lease ends."""
    with opened(tmp_path, a_message()) as outbox:

        def closing(endpoint: Endpoint, message: OutboxMessage) -> SendResult:
            outbox._database.close()
            return OK

        with delivering(outbox, RecordingSender(closing)) as deliverer, pytest.raises(StoreUnavailable):
            deliverer.run_once(NOW)
    sender = RecordingSender()
    with opened(tmp_path) as outbox, delivering(outbox, sender) as deliverer:
        assert [0, 1] == [deliverer.run_once(now) for now in (NOW, NOW + LEASE)]


def test_a_bug_in_sending_counts_as_a_failure(tmp_path: Path) -> None:
    """A message that breaks the sender does not block its entity for ever, nor stop the others."""

    def breaking(endpoint: Endpoint, message: OutboxMessage) -> SendResult:
        if message.message_id == "bad":
            raise KeyError("secret")
        return OK

    messages = (a_message("bad"), a_message("good", entity=2))
    with opened(tmp_path, *messages) as outbox, delivering(outbox, RecordingSender(breaking)) as deliverer:
        assert 2 == deliverer.run_once(NOW)
        [delivery] = outbox.due("crm", NOW + DAY, 9, NOW + DAY)

    assert ("bad", 1, "broken: KeyError") == (delivery.message.message_id, delivery.attempts, delivery.last_error)


def test_messages_to_an_endpoint_that_is_gone_from_the_settings_wait(tmp_path: Path) -> None:
    """They are neither sent nor lost, and go out when it is back."""
    sender = RecordingSender()
    with opened(tmp_path, a_message(endpoint="old")) as outbox:
        with delivering(outbox, sender) as deliverer:
            assert (0, 1) == (deliverer.run_once(NOW), outbox.pending())
        with delivering(outbox, sender, [an_endpoint("old")]) as deliverer:
            assert (1, 0) == (deliverer.run_once(NOW), outbox.pending())


def test_nothing_to_deliver_to_is_all_right(tmp_path: Path) -> None:
    """Without endpoints there is nothing to do, and that is no error."""
    with opened(tmp_path) as outbox, delivering(outbox, RecordingSender(), []) as deliverer:
        assert 0 == deliverer.run_once(NOW)


def test_a_slow_endpoint_starves_nobody(tmp_path: Path) -> None:
    """While every thread of one endpoint hangs, all of the other's messages go out."""
    release, done = threading.Event(), threading.Event()
    arrived: list[str] = []

    def answer(endpoint: Endpoint, message: OutboxMessage) -> SendResult:
        if endpoint.name == "slow":
            release.wait(20)
        else:
            arrived.append(message.message_id)
            if len(arrived) == 30:
                done.set()
        return OK

    slow = [a_message(f"s{n}", entity=n, endpoint="slow", at=NOW - 1) for n in range(50)]
    fast = [a_message(f"f{n}", entity=n % 5, endpoint="fast") for n in range(30)]
    stop = threading.Event()
    with opened(tmp_path, *slow, *fast) as outbox:
        endpoints = [an_endpoint("slow"), an_endpoint("fast")]
        with delivering(outbox, RecordingSender(answer), endpoints, at_once=4) as deliverer:
            runner = threading.Thread(target=deliverer.run, args=(stop,))
            runner.start()
            all_arrived = done.wait(15)
            stop.set()
            release.set()
            runner.join()

        assert all_arrived
        # Two at a time were on their way, and those were finished before stopping.
        assert 48 == outbox.pending()
        for entity in range(5):
            assert [f"f{n}" for n in range(entity, 30, 5)] == [id for id in arrived if int(id[1:]) % 5 == entity]


def test_the_loop_outlives_a_store_that_is_away(tmp_path: Path) -> None:
    """An outbox that cannot be read now is asked again later."""

    class Flickering(SQLiteOutbox):
        asked = 0

        def due(self, endpoint: str, now: int, limit: int, lease_until: int) -> Any:
            self.asked += 1
            if self.asked == 1:
                deliverer.wake()
                raise StoreUnavailable("full")
            return super().due(endpoint, now, limit, lease_until)

    stop, sent = threading.Event(), threading.Event()

    def answer(endpoint: Endpoint, message: OutboxMessage) -> SendResult:
        sent.set()
        return OK

    sender = RecordingSender(answer)
    with opened(tmp_path, a_message()) as outbox, delivering(Flickering(outbox._database), sender) as deliverer:
        runner = threading.Thread(target=deliverer.run, args=(stop,))
        runner.start()
        was_sent = sent.wait(10)
        stop.set()
        runner.join()

        assert was_sent
        assert 0 == outbox.pending()


def test_a_real_receiver_gets_everything_signed(tmp_path: Path) -> None:
    """Over real HTTP, failing at first: each message verifies by its signature, whatever the attempt."""
    seen: set[str] = set()

    def flaky(received: Received) -> Reply | None:
        key = received.headers["webhook-id"]
        if key in seen:
            return Reply(200)
        seen.add(key)
        return Reply(500) if int(key[1:]) % 2 else None

    messages = [a_message(f"m{n}", entity=n % 3) for n in range(9)]
    with receiving(flaky) as receiver, opened(tmp_path, *messages) as outbox:
        sender = HttpSender()
        endpoint = an_endpoint(url=receiver.url, allow_private=True)
        with delivering(outbox, sender, [endpoint]) as deliverer:
            for minutes in range(20):
                deliverer.run_once(NOW + minutes * MINUTE)
        sender.close()
        assert 0 == outbox.pending()

    assert 18 == len(receiver.received)
    for received in receiver.received:
        assert expected_signature(received) == received.headers["webhook-signature"]


def expected_signature(received: Received) -> str:
    at = datetime.fromtimestamp(int(received.headers["webhook-timestamp"]), UTC)
    return Webhook(SECRET).sign(received.headers["webhook-id"], at, received.body.decode())


# --- whatever happens ---

RESULTS: list[SendResult] = [
    OK,
    Answer(status=500),
    Answer(status=429, retry_after="600"),
    Answer(status=404),
    Answer(status=410),
    NoAnswer(kind="timeout", detail=""),
]
# The receiver may have taken a message although its answer was lost.
TAKEN = {OK, RESULTS[-1]}

steps = st.one_of(
    st.tuples(st.just("run"), st.lists(st.sampled_from(RESULTS), max_size=8)),
    st.tuples(st.just("crash"), st.lists(st.sampled_from(RESULTS), min_size=1, max_size=4)),
    st.tuples(st.just("append"), st.lists(st.tuples(st.integers(0, 1), st.integers(0, 2)), max_size=4)),
    st.tuples(st.just("resend"), st.integers(0, 3)),
    st.tuples(st.just("wait"), st.sampled_from([SECOND, 5 * SECOND, 2 * MINUTE, DAY])),
)


class World:
    """Two endpoints, a receiver that answers by the script, and processes that come and go."""

    def __init__(self, folder: Path) -> None:
        self.endpoints = [an_endpoint("crm"), an_endpoint("chat")]
        self.database = Database(folder / "assay.db")
        self.outbox = SQLiteOutbox(self.database)
        self.now = NOW
        self.script: list[SendResult] = []
        self.lock = threading.Lock()
        self.lanes: dict[tuple[str, bytes], list[str]] = defaultdict(list)  # in order of creation
        self.arrivals: dict[tuple[str, bytes], list[str]] = defaultdict(list)  # first ones, in order
        self.bodies: dict[str, set[bytes]] = defaultdict(set)
        self.ever_dead: set[str] = set()

    def send(self, endpoint: Endpoint, message: OutboxMessage, now: int) -> SendResult:
        with self.lock:
            result = self.script.pop(0) if self.script else OK
            lane = (endpoint.name, message.entity)
            self.bodies[message.message_id].add(message.body)
            if result in TAKEN and message.message_id not in self.arrivals[lane]:
                self.arrivals[lane].append(message.message_id)
            return result

    def run(self, script: list[SendResult]) -> None:
        self.script = list(script)
        with delivering(self.outbox, self, self.endpoints, at_once=4) as deliverer:
            while deliverer.run_once(self.now):
                pass
        self._note_dead()

    def crash(self, script: list[SendResult]) -> None:
        self.script = list(script)
        for endpoint in self.endpoints:
            for delivery in self.outbox.due(endpoint.name, self.now, 2, self.now + LEASE):
                self.send(endpoint, delivery.message, self.now)

    def append(self, targets: list[tuple[int, int]]) -> None:
        for which, entity in targets:
            name = self.endpoints[which].name
            message = a_message(f"m{len(self.bodies)}", entity=entity, endpoint=name, at=self.now)
            self.lanes[name, message.entity].append(message.message_id)
            self.bodies[message.message_id].add(message.body)
            with self.database.transaction() as connection:
                append(connection, [message, message])

    def resend(self, count: int) -> None:
        letters = self.outbox.dead(endpoint=None, limit=count)
        assert len(letters) == self.outbox.resend([letter.message.message_id for letter in letters], self.now)

    def wait(self, microseconds: int) -> None:
        self.now += microseconds

    def _note_dead(self) -> None:
        self.ever_dead |= {letter.message.message_id for letter in self.outbox.dead(endpoint=None, limit=10_000)}


@settings(max_examples=settings.default.max_examples // 2, deadline=None)
@given(st.lists(steps, max_size=14))
def test_whatever_happens_each_message_arrives_or_is_dead_in_order_under_one_body(script: list[Any]) -> None:
    """Failures, crashes between sending and recording, and resends, in any order, break no promise."""
    with TemporaryDirectory() as folder:
        world = World(Path(folder))
        world.append([(0, 0), (0, 0), (0, 1), (1, 0)])
        for name, argument in script:
            getattr(world, name)(argument)
        for _ in range(3):  # long enough for every lease and pause
            world.wait(30 * DAY)
            world.run([])
        dead = {letter.message.message_id for letter in world.outbox.dead(endpoint=None, limit=10_000)}
        pending = world.outbox.pending()
        world.database.close()

    assert 0 == pending
    for lane, created in world.lanes.items():
        arrived = world.arrivals[lane]
        assert set(created) <= set(arrived) | dead
        never_dead = [id for id in arrived if id not in world.ever_dead]
        assert [id for id in created if id in never_dead] == never_dead
    assert all(len(bodies) == 1 for bodies in world.bodies.values())
