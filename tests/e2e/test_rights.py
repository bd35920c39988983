"""Rights of persons with real processes: killed in the middle, restored from a backup, while events arrive."""

import json
import shutil
import sqlite3
import subprocess
import threading
from contextlib import closing
from pathlib import Path

import httpx

from e2e.house import command_json, opened_house
from serving import ASSAY, assay, clean_environment, serving, wait_until

HERS = (b"ada-7f", b"visitor-93", b"Lovelace", b"zanzibar")


def batch(n: int, first: int = 0, user: str = "ada-7f") -> list[dict]:
    """So many events of somebody."""
    return [
        {
            "type": "track",
            "event": "Made",
            "userId": user,
            "messageId": f"{user}-{number}",
            "properties": {"word": "zanzibar" if user == "ada-7f" else "plain", "n": number},
        }
        for number in range(first, first + n)
    ]


def post(url: str, key: str, messages: list[dict]) -> httpx.Response:
    return httpx.post(f"{url}/v1/batch", auth=(key, ""), json={"batch": messages}, timeout=30)


def meet(url: str, key: str, events: int) -> None:
    hello = {"type": "identify", "userId": "ada-7f", "anonymousId": "visitor-93", "traits": {"name": "Lovelace"}}
    post(url, key, [{**hello, "messageId": "hello"}])
    for first in range(0, events, 500):
        post(url, key, batch(min(500, events - first), first)).raise_for_status()


def files_naming(folder: Path) -> list[str]:
    """The files in which anything of hers stands."""
    return [
        path.name for path in sorted(folder.iterdir()) if path.is_file() and any(w in path.read_bytes() for w in HERS)
    ]


def rows(folder: Path, sql: str) -> list[tuple]:
    with closing(sqlite3.connect(folder / "assay.db")) as connection:
        return connection.execute(sql).fetchall()


def test_killed_in_the_middle_it_goes_on_at_the_next_start(tmp_path):
    """`kill -9` while rows go: the person stays refused, and the collector finishes what was begun."""
    with opened_house(tmp_path) as house:
        meet(house.url, house.key, 6_000)
        headers = {"Authorization": f"Bearer {house.token}"}
        order = {"kind": "erase", "subject": "visitor-93"}
        request = httpx.post(f"{house.url}/v1/privacy/requests", headers=headers, json=order, timeout=30).json()
        wait_until(lambda: 0 < rows(tmp_path, "SELECT count(*) FROM events")[0][0] < 5_500)
        house.collector.kill()
    left = rows(tmp_path, "SELECT count(*) FROM events")[0][0]
    with serving(tmp_path) as collector:
        late = post(collector.url, house.key, batch(10))
        wait_until(lambda: command_json(tmp_path, "privacy", "requests")[0]["state"] == "done", 60)
        collector.terminate()
    assay(tmp_path, "privacy", "vacuum")
    (done,) = command_json(tmp_path, "privacy", "requests")

    assert 0 < left < 6_001
    assert 200 == late.status_code
    assert (request["id"], 6_001) == (done["id"], done["counts"]["events"])
    assert [] == files_naming(tmp_path)
    assert 0 == assay(tmp_path, "verify").returncode


def test_a_backup_does_not_bring_the_person_back(tmp_path):
    """An old copy in the database's place: before the first event is taken, she is erased again."""
    with opened_house(tmp_path) as house:
        meet(house.url, house.key, 300)
        post(house.url, house.key, batch(20, user="bob"))
        backup = tmp_path / "elsewhere"
        backup.mkdir()
        with closing(sqlite3.connect(tmp_path / "assay.db")) as connection:
            connection.execute("VACUUM INTO ?", (str(backup / "old.db"),))
        assert 0 == assay(tmp_path, "privacy", "erase", "ada-7f").returncode
        house.collector.terminate()
    for name in ("assay.db", "assay.db-wal", "assay.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    shutil.move(backup / "old.db", tmp_path / "assay.db")
    assert ["assay.db"] == files_naming(tmp_path)
    with serving(tmp_path) as collector:
        answer = httpx.post(
            f"{collector.url}/v1/batch",
            auth=(house.key, ""),
            json={"batch": batch(5)},
            headers={"Prefer": "return=representation"},
            timeout=30,
        )
        collector.terminate()
    assay(tmp_path, "privacy", "vacuum")

    assert {"erased_subject"} == {result["code"] for result in answer.json()["results"]}
    assert [] == files_naming(tmp_path)
    assert [(20,)] == rows(tmp_path, "SELECT count(*) FROM events")
    assert ["done"] == [request["state"] for request in command_json(tmp_path, "privacy", "requests")]


def test_ingest_goes_on_while_somebody_is_erased(tmp_path):
    """A command beside the collector: whatever others send meanwhile is stored, and nothing of hers is left."""
    with opened_house(tmp_path) as house:
        meet(house.url, house.key, 4_000)
        erasing = subprocess.Popen(
            [*ASSAY, "privacy", "erase", "ada-7f"], cwd=tmp_path, env=clean_environment(), stdout=subprocess.DEVNULL
        )
        stopped = threading.Event()
        statuses: list[int] = []

        def send() -> None:
            while not stopped.is_set():
                first = len(statuses) * 50
                statuses.append(post(house.url, house.key, batch(50, first, "bob") + batch(5, first)).status_code)

        sender = threading.Thread(target=send)
        sender.start()
        assert 0 == erasing.wait(120)
        stopped.set()
        sender.join()
        house.collector.terminate()
    assay(tmp_path, "privacy", "vacuum")

    assert {200} == set(statuses)
    assert [(len(statuses) * 50,)] == rows(tmp_path, "SELECT count(*) FROM events")
    assert [] == files_naming(tmp_path)
    assert json.loads(assay(tmp_path, "counts", "--format", "json").stdout)["refused"]["erased_subject"] > 0
