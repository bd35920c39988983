"""Celery: a task runs in its publisher's scope, in real worker processes over a broker in a folder."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from scripted_server import ScriptedServer

PUBLISH = """
import assay
from celery_app import send_invoice, try_twice
for n in range(6):
    with assay.scope(
        user_id=f"u{n}" if n % 2 else None, anonymous_id="a7" if n == 1 else None, group_id=lambda: f"g{n}",
        consent={"analytics": True}, context={"page": {"path": f"/{n}"}},
    ):
        send_invoice.delay(n)
send_invoice.delay(6)
with assay.scope(user_id="u7", group_id="g7"):
    try_twice.delay(7)
"""


@pytest.fixture
def environment(tmp_path) -> dict[str, str]:
    (tmp_path / "control").mkdir()
    return {**os.environ, "BROKER_FOLDER": str(tmp_path), "PYTHONPATH": str(Path(__file__).parent)}


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_tasks_run_in_their_publishers_scope(environment, pool):
    """Ids, account, consent and context come along; retries and tasks of tasks too; nothing stays for the next task."""
    subprocess.run([sys.executable, "-c", PUBLISH], env=environment, check=True)
    command = [sys.executable, "-m", "celery", "-A", "celery_app", "worker", "-P", pool, "-c", "2", "--without-mingle"]
    with ScriptedServer() as server:
        worker = subprocess.Popen(
            [*command, "--without-gossip", "--without-heartbeat", "-l", "info"],
            env={**environment, "COLLECTOR": server.url},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        with worker:
            log = read_until_done(worker, tasks=10)
            worker.send_signal(signal.SIGTERM)
            log += worker.communicate(timeout=60)[1]
        events = server.events
    got = sorted(
        (
            event["event"],
            event["properties"]["n"],
            event.get("userId"),
            event.get("anonymousId"),
            event["context"].get("groupId"),
        )
        for event in events
    )

    assert 0 == worker.returncode, log
    assert [
        *(
            ("Invoice Sent", n, f"u{n}" if n % 2 else None, {1: "a7"}.get(n, None if n % 2 else "nobody"), f"g{n}")
            for n in range(6)
        ),
        ("Invoice Sent", 6, None, "nobody", None),
        ("Invoice Sent", 7, "u7", None, "g7"),
        ("Tried", 7, "u7", None, "g7"),
        ("Tried", 7, "u7", None, "g7"),
    ] == got, log
    assert {"path": "/1"} in [event["context"].get("page") for event in events]
    assert len(events) == len({event["messageId"] for event in events})


def test_an_eager_task_runs_in_the_callers_scope():
    """As the function that it is then; what it changes ends with it."""
    code = """
    import assay
    from assay.testing import CapturingTransport
    import celery_app
    celery_app.app.conf.task_always_eager = True
    transport = CapturingTransport()
    celery_app.client = assay.Client("http://collector.test", "key", transport=transport)
    with assay.scope(user_id="u1", anonymous_id="a1"):
        celery_app.send_invoice.delay(1)
        assert assay.current_scope().user_id == "u1"
    celery_app.client.close()
    print([(event["userId"], event["anonymousId"]) for event in transport.events])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ("[('u1', 'a1')]\n", "") == (done.stdout, done.stderr)


def read_until_done(worker: "subprocess.Popen[str]", tasks: int) -> str:
    """The worker's log up to the line that so many tasks have ended with, retries included."""
    lines = []
    for line in worker.stderr:
        lines.append(line)
        tasks -= " succeeded in " in line or " retry: " in line
        if tasks == 0:
            break
    return "".join(lines)
