"""Reading the wire's cases, and running one of them against anything that answers HTTP."""

import base64
import gzip
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.contract.times import format_instant
from assay_collector.web.problems import STATUSES_NEVER
from assay_collector.web.services import WebSettings

CASES = Path(__file__).parent / "cases"
BODY_BYTES_MAX = WebSettings().body_bytes_max

Case = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes


@dataclass(frozen=True)
class Recorded:
    """What the ingest stage took in."""

    stored: list[str]
    quarantined: list[str]
    times: list[tuple[str, str | None, bool]]  # at, original_at, clamped
    key_conflicts: int


# method, path, headers, body
Send = Callable[[str, str, dict[str, str], bytes], Answer]


def load_cases(*names: str) -> list[Any]:
    """The cases of these files, as pytest parameters' values and ids."""
    return [(f"{name}: {case['name']}", case) for name in names for case in json.loads(_read(name))["cases"]]


def run_case(case: Case, send: Send, recorded: Callable[[], Recorded]) -> None:
    """Send what the case says, and hold the answer and the record against it."""
    method = case.get("method", "POST")
    answer = send(method, case["path"], _headers(case), _body(case))
    record = recorded()

    check_answer(answer, is_head=method == "HEAD")
    assert case.get("status", 200) == answer.status
    if "code" in case:
        assert case["code"] == json.loads(answer.body)["code"]
    elif "answer" in case:
        assert case["answer"] == json.loads(answer.body)
    elif answer.status == 200:
        assert answer.body == b'{"success":true}'
    if "stored_count" in case:
        assert case["stored_count"] == len(record.stored)
    else:
        assert case.get("stored", []) == record.stored
    assert case.get("quarantined", []) == record.quarantined
    if "key_conflicts" in case:
        assert case["key_conflicts"] == record.key_conflicts
    if "at" in case:
        assert (case["at"], case["original_at"], case["clamped"]) == record.times[0]


def check_answer(answer: Answer, *, is_head: bool = False) -> None:
    """What holds for every answer: JSON, never a status that SDKs misread, and on errors all four members."""
    assert answer.status not in STATUSES_NEVER
    assert answer.status < 500 or answer.status == 503
    assert answer.headers["content-type"] == "application/json"
    if is_head:
        return
    document = json.loads(answer.body)
    if answer.status >= 400:
        assert document["success"] is False
        assert {"code", "message", "error"} <= set(document)


def time_of(at: int | None) -> str | None:
    return None if at is None else format_instant(at)


def _read(name: str) -> str:
    return (CASES / f"{name}.json").read_text(encoding="utf-8")


def _headers(case: Case) -> dict[str, str]:
    headers = {"Content-Type": "application/json"}
    if "compress" in case:
        headers["Content-Encoding"] = "gzip"
    if "basic" in case:
        headers["Authorization"] = "Basic " + base64.b64encode(case["basic"].encode()).decode()
    headers.update(case.get("headers", {}))
    return {name: value for name, value in headers.items() if value is not None}


def _body(case: Case) -> bytes:
    if "made" in case:
        return _MADE[case["made"]]()
    text = json.dumps(case["json"]) if "json" in case else case.get("text", "")
    for mark, (filling, times) in case.get("repeat", {}).items():
        text = text.replace(mark, filling * times)
    plain = text.encode()
    return _COMPRESS[case["compress"]](plain) if "compress" in case else plain


def _bare_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()


_COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "gzip cut": lambda data: gzip.compress(data)[:-12],
    "gzip in two": lambda data: gzip.compress(data[:20]) + gzip.compress(data[20:]),
    "gzip twice": lambda data: gzip.compress(gzip.compress(data)),
    "zlib": zlib.compress,
    "deflate": _bare_deflate,
}


def _events(count: int) -> bytes:
    message = '{"type":"track","event":"E","userId":"u","messageId":"m%d"}'
    return ('{"batch":[' + ",".join(message % number for number in range(count)) + "]}").encode()


_MADE: dict[str, Callable[[], bytes]] = {
    "2501 events": lambda: _events(2_501),
    "10001 events": lambda: _events(10_001),
    "one byte over the cap": lambda: b'{"a":"' + b"a" * (BODY_BYTES_MAX - 7) + b'"}',
    # A thousand to one.
    "gzip bomb": lambda: gzip.compress(b'{"a":"' + b"a" * (2 * BODY_BYTES_MAX) + b'"}'),
}
