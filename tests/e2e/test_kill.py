"""The collector is killed twenty times under load, and keeps every promise that it made."""

import os
import random
import statistics
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from assay.contract.times import format_instant
from serving import Serving, assay, serving

from .house import House, opened_house, stored_ids
from .peers import ROOT

PLAN = str(ROOT / "schemas" / "planboard" / "plan")
DEFINITIONS = str(ROOT / "schemas" / "planboard" / "definitions")
FLAGS = ("--plan", PLAN, "--definitions", DEFINITIONS)

KILLS = 20
SENDERS = 3
LOAD_SECONDS_MAX = 0.6  # from one start to the next kill
RESTART_CPU_SECONDS_MAX = 2.0
RESTART_SECONDS_MAX = 10.0  # for whatever else this machine has to do meanwhile
EVENTS_MAX = 40  # of one batch
_DAY = 86_400_000_000


class Sender(threading.Thread):
    """Sends messages, single and in batches, each again and again under the same id until it is acknowledged."""

    def __init__(self, number: int, url: str, key: str) -> None:
        super().__init__(name=f"sender-{number}")
        self.acknowledged: list[str] = []
        self.sent_again = 0
        self.problems: list[str] = []
        self._stopping = threading.Event()
        self._given_up = threading.Event()
        self._url, self._key = url, key
        self._messages = simulated(random.Random(number), prefix=f"s{number}")
        self._rng = random.Random(-number)

    def run(self) -> None:
        with httpx.Client(base_url=self._url, auth=(self._key, ""), timeout=10) as http:
            while not self._stopping.is_set() and not self.problems:
                size = self._rng.choice([1, self._rng.randint(2, EVENTS_MAX)])
                self._deliver(http, [next(self._messages) for _ in range(size)])

    def finish(self) -> None:
        """Deliver what is under way, and end."""
        self._stopping.set()
        self.join()

    def give_up(self) -> None:
        """End, delivered or not."""
        self._given_up.set()
        self.finish()

    def _deliver(self, http: httpx.Client, messages: list[dict[str, Any]]) -> None:
        """Send until there is an answer; it must be 200, and then every message of it counts as acknowledged."""
        while not self._given_up.is_set():
            try:
                answer = _post(http, messages)
            except httpx.TransportError:
                self.sent_again += 1
                time.sleep(0.05)
                continue
            if answer.status_code == 200:
                self.acknowledged += [message["messageId"] for message in messages]
            else:
                self.problems.append(f"{answer.status_code} {answer.text}")
            return


def _post(http: httpx.Client, messages: list[dict[str, Any]]) -> httpx.Response:
    if len(messages) > 1:
        return http.post("/v1/batch", json={"batch": messages})
    return http.post(f"/v1/{messages[0]['type']}", json=messages[0])


def simulated(rng: random.Random, prefix: str) -> Iterator[dict[str, Any]]:
    """Messages that touch tallies, traits, links and memberships, so that a torn transaction would show in each."""
    started = time.time_ns() // 1000 - 10 * _DAY
    for number in count():
        user = rng.randrange(60)
        message = {
            **_content(rng, user),
            "messageId": f"{prefix}-{number}",
            "userId": f"user-{user}",
            "timestamp": format_instant(started + rng.randrange(5 * _DAY)),
        }
        if rng.random() < 0.3:  # the same people under more ids
            message["anonymousId"] = f"anonymous-{user}-{rng.randrange(3)}"
        if rng.random() < 0.1 and message["type"] == "track":
            del message["userId"]
            message["anonymousId"] = f"anonymous-{user}-{rng.randrange(3)}"
        yield message


def _content(rng: random.Random, user: int) -> dict[str, Any]:
    account = f"account-{user % 12}"
    event, properties = rng.choice(
        [
            ("Account Created", {"method": "email"}),
            ("Project Created", {"project_id": f"p{rng.randrange(500)}"}),
            ("Task Assigned", {"task_id": "t1", "assignee_id": "a1"}),
            ("API Called", {"env": rng.choice(["production", "staging"]), "status": rng.choice([200, 500])}),
            ("Teammate Invited", {"invitee_id": f"i{rng.randrange(40)}", "invitee_domain": "example.org"}),
            ("Invite Accepted", {"invitee_id": f"i{rng.randrange(40)}"}),
            ("identify", {"role": rng.choice(["admin", "member"])}),
            ("group", {"plan_state": rng.choice(["trial", "paid"])}),
        ]
    )
    if event == "identify":
        return {"type": "identify", "traits": properties}
    if event == "group":
        return {"type": "group", "groupId": account, "traits": properties}
    return {"type": "track", "event": event, "properties": properties, "context": {"groupId": account}}


def test_what_was_acknowledged_survives_twenty_kills(tmp_path):
    """Every acknowledged event is stored once, nothing else is, and tallies, people and ledger equal a refold."""
    with opened_house(tmp_path, *FLAGS) as house, sending(house) as senders:
        restarts = _kill_often(house, senders, random.Random(20))

    acknowledged = Counter(id for sender in senders for id in sender.acknowledged)
    assert [] == [problem for sender in senders for problem in sender.problems]
    assert acknowledged == stored_ids(tmp_path)
    assert {1} == set(acknowledged.values())
    assert KILLS <= sum(sender.sent_again for sender in senders), "the kills came between requests"
    verified = assay(tmp_path, "verify", *FLAGS)
    assert 0 == verified.returncode, verified.stdout + verified.stderr
    assert statistics.median(restart.cpu_seconds for restart in restarts) < RESTART_CPU_SECONDS_MAX
    assert min(restart.seconds for restart in restarts) < RESTART_SECONDS_MAX


@dataclass(frozen=True)
class Restart:
    """What it took until the first connection was accepted."""

    seconds: float
    cpu_seconds: float  # of parent and worker; 0.0 where the system does not say


def _kill_often(house: House, senders: list[Sender], rng: random.Random) -> list[Restart]:
    """Kill and start again KILLS times, then stop in order once all is decided."""
    restarts = []
    collector = house.collector
    with ExitStack() as stack:
        for _ in range(KILLS):
            time.sleep(rng.uniform(0, LOAD_SECONDS_MAX))
            collector.kill()
            started = time.monotonic()
            collector = stack.enter_context(serving(house.folder, *FLAGS, port=house.collector.port))
            restarts.append(Restart(time.monotonic() - started, _cpu_seconds(collector)))
        for sender in senders:
            sender.finish()
        replace(house, collector=collector).wait_until_decided()
        assert 0 == collector.terminate()
    return restarts


def _cpu_seconds(collector: Serving) -> float:
    if not Path("/proc/self/stat").exists():
        return 0.0
    stats = (Path(f"/proc/{pid}/stat").read_text() for pid in (collector.process.pid, *collector.workers()))
    fields = (stat.rpartition(")")[2].split() for stat in stats)  # what follows the name, which may hold anything
    return sum(int(each[11]) + int(each[12]) for each in fields) / os.sysconf("SC_CLK_TCK")


@contextmanager
def sending(house: House) -> Iterator[list[Sender]]:
    """Senders at work, for as long as the block at most."""
    senders = [Sender(number, house.url, house.key) for number in range(1, SENDERS + 1)]
    for sender in senders:
        sender.start()
    try:
        yield senders
    finally:
        for sender in senders:
            sender.give_up()
