"""What end-to-end tests ask a running collector, and the file it left."""

import json
import re
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from assay_collector.keys import ENTROPY_BYTES, KeyKind, new_key
from assay_collector.store import EventRow, Source, Store
from assay_collector.stores.sqlite.store import SQLiteStore
from serving import Serving, assay, serving, wait_until


@dataclass(frozen=True)
class House:
    """A folder with a database, its keys, and the collector that serves it."""

    folder: Path
    key: str  # a write key
    token: str  # an admin token
    collector: Serving

    @property
    def url(self) -> str:
        return self.collector.url

    def ask(self, path: str, **parameters: Any) -> dict[str, Any]:
        """A question to the query API, and its answer."""
        answer = self.get(path, **parameters)
        assert 200 == answer.status_code, answer.text
        return answer.json()

    def get(self, path: str, **parameters: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.get(f"{self.url}{path}", params=parameters, headers=headers, timeout=30)

    def receipts(self, message_ids: Iterable[str]) -> dict[str, list[tuple[str, str, str | None]]]:
        """Every place each message went to: how, as which type, under which name."""
        return {each: [_line(line) for line in self._receipts(each)] for each in message_ids}

    def counts(self) -> dict[str, Any]:
        return self.ask("/v1/counts")

    def refused(self, code: str) -> int:
        """How many requests were refused for this reason since the process started."""
        found = re.search(rf'^assay_requests_refused_total\{{code="{code}"\}} (\S+)', self.metrics(), re.MULTILINE)
        return int(float(found[1])) if found else 0

    def metrics(self) -> str:
        return httpx.get(f"{self.url}/metrics", timeout=30).text

    def wait_until_decided(self, seconds: float = 60.0) -> None:
        """Until nobody is due."""
        wait_until(lambda: httpx.get(f"{self.url}/readyz", timeout=30).json()["agenda"]["due"] == 0, seconds)

    def _receipts(self, message_id: str) -> list[dict[str, Any]]:
        answer = self.get(f"/v1/receipts/{message_id}")
        return answer.json()["receipts"] if answer.status_code == 200 else []


@contextmanager
def opened_house(folder: Path, *flags: str, port: int = 0) -> Iterator[House]:
    """A collector on a fresh SQLite file, with a key of each kind."""
    with closing(SQLiteStore(folder / "assay.db")) as store:
        store.keyring.put_source(Source(id="web", name="web"), 0)
        key, token = (_new_key(store, kind, source) for kind, source in (("server", "web"), ("admin", None)))
    with serving(folder, *flags, port=port) as collector:
        yield House(folder, key, token, collector)


def stored_events(folder: Path) -> list[EventRow]:
    """Every event in the file, in log order."""
    with closing(SQLiteStore(folder / "assay.db")) as store:
        return [row for _, row in store.events.scan()]


def stored_ids(folder: Path) -> Counter[str]:
    """How often each message is stored."""
    return Counter(row.message_id for row in stored_events(folder))


def command_json(folder: Path, *words: str) -> Any:
    """What an operator's command prints for programs."""
    done = assay(folder, *words, "--format", "json")
    assert 0 == done.returncode, done.stderr
    return json.loads(done.stdout)


def _new_key(store: Store, kind: KeyKind, source: str | None) -> str:
    secret, key = new_key(kind, source, entropy=secrets.token_bytes(ENTROPY_BYTES), now=0)
    store.keyring.put_key(key)
    return secret


def _line(line: dict[str, Any]) -> tuple[str, str, str | None]:
    return line["status"], line["type"], line["name"]
