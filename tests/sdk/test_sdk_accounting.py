"""What became of every event: counted under every fault, and told to the app, the log and the collector."""

import json
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_server import Reply, ScriptedServer

import assay
from assay import Client, DropReason
from assay.reports import counts, has_losses, report
from assay_collector.web.metrics import CLIENT_REASONS

BODIES = st.sampled_from([b'{"success":true}', b"", b"OK", b"<html>", b'{"success":', b"[]", b"null", b"\xff" * 90])
STATUSES = st.sampled_from([200, 200, 200, 201, 204, 302, 400, 401, 404, 408, 413, 413, 429, 500, 501, 503, 511])
FAULTS = st.one_of(
    st.builds(Reply, STATUSES, st.sampled_from([{}, {"Retry-After": "0"}, {"Retry-After": "soon"}]), BODIES),
    st.just(Reply(cut=True)),
    st.just(Reply(hold=threading.Event())),  # hangs for longer than the client waits
)
CALLS = st.sampled_from(["good", "good", "good", "nobody", "large", "blocked", "flush"])
EVERY_FAULT = settings(max_examples=settings.default.max_examples // 5, deadline=None)


@EVERY_FAULT
@given(
    faults=st.lists(FAULTS, max_size=8),
    calls=st.lists(CALLS, min_size=1, max_size=25),
    when_full=st.sampled_from(["drop_newest", "drop_oldest"]),
    on_disk=st.booleans(),
    close_seconds=st.sampled_from([0.0, 0.05, 5.0]),
)
def test_the_sum_holds_under_every_fault(faults, calls, when_full, on_disk, close_seconds):
    """Over real HTTP: tracked = delivered + dropped + pending at each step, and on_drop hears of every loss."""
    drops: list[tuple[str, int]] = []
    with TemporaryDirectory() as folder, ScriptedServer(faults) as server:
        for hold in {fault.hold for fault in faults if fault.hold}:
            hold.clear()
        client = Client(
            server.url,
            "key",
            queue_events_max=10,
            batch_events_max=4,
            when_full=when_full,
            linger_seconds=0,
            timeout_seconds=0.05,
            breaker_failures=2,
            breaker_seconds=0.01,
            before_send=lambda event: None if event["event"] == "blocked" else event,
            spool=Path(folder) if on_disk else None,
            on_drop=lambda *drop: drops.append(drop),
        )
        for call in calls:
            if call == "flush":
                client.flush(0.01)
            else:
                client.track("" if call == "nobody" else "u1", call, {"text": "x" * (40_000 if call == "large" else 1)})
            assert adds_up(client.stats())
        left = client.close(close_seconds)
        stats = client.stats()
        for hold in {fault.hold for fault in faults if fault.hold}:
            hold.set()

        assert adds_up(stats)
        assert len(calls) - calls.count("flush") == stats.tracked
        assert left == stats.pending + stats.dropped.get("deadline", 0)
        # What is in flight at the end has not been told of yet.
        assert sum(count for _, count in drops) >= sum(stats.dropped.values()) - 4
        assert stats.delivered <= len({event["messageId"] for event in server.events})


def adds_up(stats: assay.Stats) -> bool:
    return stats.tracked == stats.delivered + sum(stats.dropped.values()) + stats.pending


# --- the report -----------------------------------------------------------------------------------------------------


def stats(**fields: Any) -> assay.Stats:
    """Counters that are nought but for these."""
    return assay.Stats(
        **{"tracked": 0, "delivered": 0, "dropped": {}, "pending": 0, "quarantined": 0, "retried": 0, **fields}
    )


def test_a_report_tells_what_is_new():
    """The difference to the last one that was heard, by reason; nothing if nothing has happened."""
    told = counts(stats(tracked=5, delivered=4, dropped={"queue_full": 1}))
    now = counts(stats(tracked=9, delivered=5, dropped={"queue_full": 1, "expired": 3}, retried=2))
    series = json.loads(report(now, told))["series"]

    assert [
        ("assay_sdk.events", 4, "tracked"),
        ("assay_sdk.events", 1, "delivered"),
        ("assay_sdk.dropped", 3, "expired"),
        ("assay_sdk.retried", 2, None),
    ] == [(line["metric"], line["value"], line["tags"].get("outcome", line["tags"].get("reason"))) for line in series]
    assert {assay.__version__} == {line["tags"]["library_version"] for line in series}
    assert report(now, now) is None
    assert has_losses(now, told)
    assert not has_losses(now, now)


def test_a_client_that_lost_events_reports_at_its_end():
    """To the collector that its events go to, with its key; one that lost none asks for nothing more."""
    with ScriptedServer() as server:
        with Client(server.url + "/proxy", "key") as client:
            client.track("u1", "Seen")
            client.track(event="By nobody")
        with Client(server.url, "key") as client:
            client.track("u1", "Seen")
    [told] = server.reports
    lines = {line["metric"]: line for line in told.body["series"] if line["metric"] != "assay_sdk.events"}

    assert "/proxy/v1/m" == told.path
    assert told.headers["Authorization"].startswith("Basic ")
    assert {"assay_sdk.dropped"} == set(lines)
    assert ("malformed", 1) == (lines["assay_sdk.dropped"]["tags"]["reason"], lines["assay_sdk.dropped"]["value"])


def test_a_collector_that_is_down_is_not_asked_to_listen():
    """A report is no reason to hold up an exit."""
    with ScriptedServer([Reply(status=503)] * 99) as server:
        client = Client(server.url, "key", queue_events_max=1)
        for _ in range(5):
            client.track("u1", "Seen")
        client.flush(0.1)
        client.close(0.1)

    assert [] == server.reports


@pytest.mark.parametrize("reason", DropReason)
def test_the_collector_knows_every_reason(reason):
    """They become labels of its metrics."""
    assert str(reason) in CLIENT_REASONS
