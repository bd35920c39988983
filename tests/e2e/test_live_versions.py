"""A definition is activated on a running collector under load, which is killed meanwhile."""

import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import httpx

from serving import assay, serving, wait_until

from .house import House, opened_house

BEFORE, DURING, PEOPLE = 6_000, 1_500, 40
DEFINITION = """
pql: {id: busy, version: VERSION, entity: user, stage: activation, owner: growth}
why: It is a test.
predicts: {event: Subscription Started, within: 30 days}
signals: {tasks: {count: Task Assigned}}
qualify: {tasks: at least MOST}
"""


def post(house: House, first: int, number: int) -> None:
    """So many events, again and again until they are acknowledged."""
    for start in range(first, first + number, 100):
        batch = [
            {"type": "track", "event": "Task Assigned", "messageId": f"m{n}", "userId": f"u{n % PEOPLE}"}
            for n in range(start, min(start + 100, first + number))
        ]
        while True:
            try:
                answer = httpx.post(f"{house.url}/v1/batch", json={"batch": batch}, auth=(house.key, ""), timeout=10)
            except httpx.TransportError:
                time.sleep(0.05)
                continue
            assert answer.status_code in (200, 503), answer.text
            if answer.status_code == 200:
                break


def activate(folder: Path, version: int, most: int) -> None:
    text = DEFINITION.replace("VERSION", str(version)).replace("MOST", str(most))
    (folder / "busy.yaml").write_text(text)
    done = assay(folder, "pql", "activate", "busy.yaml", "--by", "ada", "--note", "a test")
    assert 0 == done.returncode, done.stdout + done.stderr


def leads(house: House) -> set[str]:
    return {lead["id"] for lead in house.ask("/v1/leads", limit=500)["leads"]}


def test_a_new_signal_is_filled_under_load_and_across_a_kill(tmp_path):
    """In the end every tally, person and verdict is as if it had always been there."""
    with ExitStack() as stack:
        house = stack.enter_context(opened_house(tmp_path))
        post(house, 0, BEFORE)
        sender = threading.Thread(target=post, args=(house, BEFORE, DURING))
        sender.start()
        activate(tmp_path, 1, 2)
        time.sleep(0.4)
        house.collector.kill()
        collector = stack.enter_context(serving(tmp_path, port=house.collector.port))
        house = replace(house, collector=collector)
        sender.join()
        wait_until(lambda: len(leads(house)) == PEOPLE, 60)
        house.wait_until_decided()
        # Everybody has 187 or 188: the share of 7,500 that 40 people have each.
        activate(tmp_path, 2, 188)
        wait_until(lambda: len(leads(house)) == (BEFORE + DURING) % PEOPLE, 60)
        house.wait_until_decided()
        assert 0 == collector.terminate()

    verified = assay(tmp_path, "verify")
    assert 0 == verified.returncode, verified.stdout + verified.stderr
    assert "7500 events" in verified.stdout
    causes = Counter(line.split(", because of ")[1] for line in explained(tmp_path) if "because of" in line)
    assert {"definition"} == set(causes)


def explained(folder: Path) -> list[str]:
    """What is told of somebody who left with the second version."""
    return assay(folder, "explain", "u39").stdout.splitlines()
