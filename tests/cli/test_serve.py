"""`assay serve` as a real process: how it starts, how it stops, and what it survives."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from serving import Serving, assay, serving, wait_until, write_key

BODY = b'{"messageId":"m1","event":"Signed Up","userId":"ann"}'


def send(collector: Serving, key: str, message_id: str = "m1") -> httpx.Response:
    event = {"messageId": message_id, "event": "Signed Up", "userId": "ann"}
    return httpx.post(f"{collector.url}/v1/track", json=event, auth=(key, ""))


def stored(folder) -> int:
    return int(assay(folder, "counts").stdout.split("stored")[1].split()[0])


@contextmanager
def half_a_request(collector: Serving, key: str) -> Iterator[socket.socket]:
    """A connection whose request lacks the second half of its body."""
    connection = socket.create_connection(("127.0.0.1", collector.port), timeout=10)
    head = f"POST /v1/track HTTP/1.1\r\nHost: a\r\nAuthorization: Basic {key}\r\nContent-Length: {len(BODY)}\r\n\r\n"
    connection.sendall(head.encode() + BODY[:10])
    time.sleep(0.3)  # until a thread has taken it up
    with connection:
        yield connection


def refuses_connections(collector: Serving) -> bool:
    try:
        socket.create_connection(("127.0.0.1", collector.port), timeout=1).close()
    except OSError:
        return True
    return False


def test_the_start_line_says_where_it_is_and_how_to_make_a_key(tmp_path):
    """One line has the address, the database, what was loaded, and the command for a first key."""
    with serving(tmp_path) as collector:
        assert 200 == httpx.get(f"{collector.url}/healthz").status_code
        assert "database assay.db; no tracking plan" in collector.start_line
        assert "assay keys create --source web" in collector.start_line


def test_with_a_key_the_start_line_needs_no_advice(tmp_path):
    """Advice is for beginners."""
    write_key(tmp_path)

    with serving(tmp_path) as collector:
        assert "assay keys" not in collector.start_line


def test_an_open_request_is_answered_after_sigterm(tmp_path):
    """Told to stop, the collector takes no new connections, finishes what is open, and exits with 0."""
    key = write_key(tmp_path)
    with serving(tmp_path) as collector, half_a_request(collector, key) as connection:
        collector.process.send_signal(signal.SIGTERM)
        wait_until(lambda: refuses_connections(collector))

        connection.sendall(BODY[10:])

        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
        assert 0 == collector.process.wait(30)
    assert 1 == stored(tmp_path)
    assert not (tmp_path / "assay.db-wal").exists(), "the store was closed"


def test_a_request_that_never_ends_does_not_keep_it_from_stopping(tmp_path):
    """After drain_seconds the rest is cut off; the exit code is 0 all the same."""
    key = write_key(tmp_path)
    with serving(tmp_path, "--drain-seconds", "1") as collector, half_a_request(collector, key):
        told_at = time.monotonic()

        assert 0 == collector.terminate()

        assert time.monotonic() - told_at < 5


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_to_the_whole_group_stops_it_in_order(tmp_path, number):
    """Ctrl-C, a closed terminal, a supervisor: parent and worker hear it at once, and it is no crash."""
    with serving(tmp_path) as collector:
        os.killpg(collector.process.pid, number)

        assert 0 == collector.process.wait(30)


def test_what_was_acknowledged_survives_a_kill_and_no_lock_stays(tmp_path):
    """After kill -9 of the whole process group the next collector starts at once, with everything it said yes to."""
    key = write_key(tmp_path)
    with serving(tmp_path) as collector:
        assert 200 == send(collector, key).status_code
        collector.kill()

    with serving(tmp_path, port=collector.port) as again:
        assert 200 == send(again, key, "m1").status_code
        assert 200 == send(again, key, "m2").status_code
    assert 2 == stored(tmp_path)


def test_the_worker_leaves_with_its_parent(tmp_path):
    """When only the parent is killed, no orphan goes on serving, nor holds the database."""
    with serving(tmp_path) as collector:
        os.kill(collector.process.pid, signal.SIGKILL)

        wait_until(lambda: refuses_connections(collector))

    with serving(tmp_path) as again:
        assert 200 == httpx.get(f"{again.url}/healthz").status_code


def test_a_killed_worker_is_replaced(tmp_path):
    """When only the worker dies, the parent starts another on the same port."""
    key = write_key(tmp_path)
    with serving(tmp_path) as collector:
        (worker,) = collector.workers()
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: worker not in collector.workers() and not refuses_connections(collector))

        assert 200 == send(collector, key).status_code
        assert 0 == collector.terminate()


@pytest.mark.parametrize("later_seconds", [0.01, 0.02, 0.03, 0.05])
def test_a_stop_while_a_worker_is_replaced_is_not_waited_out(tmp_path, later_seconds):
    """The new one may be just forked, and hear the signal before it has a handler of its own."""
    with serving(tmp_path, "--drain-seconds", "20") as collector:
        (worker,) = collector.workers()
        os.kill(worker, signal.SIGKILL)
        time.sleep(later_seconds)
        told_at = time.monotonic()

        assert 0 == collector.terminate()

        assert time.monotonic() - told_at < 15


def test_one_database_has_one_collector(tmp_path):
    """A second collector on the same file is refused in one line, by whatever path it names it."""
    with serving(tmp_path) as collector:
        second = assay(tmp_path, "serve", "--port", "0", "--database", str(tmp_path / "." / "assay.db"))

        assert 2 == second.returncode
        assert "is serving" in second.stderr
        assert "name another file with --database" in second.stderr
        assert 1 == len(second.stderr.splitlines())
        assert 200 == httpx.get(f"{collector.url}/healthz").status_code


def test_one_port_has_one_collector(tmp_path):
    """A second collector on the same port is refused in one line, though granian itself would share the port."""
    with serving(tmp_path) as collector:
        second = assay(tmp_path, "serve", "--port", str(collector.port), "--database", "other.db")

        assert 2 == second.returncode
        said = f"Error: cannot listen at 127.0.0.1 port {collector.port}: Address already in use;"
        assert second.stderr.startswith(said)
        assert 1 == len(second.stderr.splitlines())


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--host", "203.0.113.7"), "cannot listen at 203.0.113.7"),
        (("--host", "no such host"), "cannot listen at no such host"),
        (("--plan", "nowhere"), "nowhere"),
        (("--definitions", "nowhere"), "nowhere"),
        (("--database", "/proc/none/assay.db"), "/proc/none"),
        (("--config", "bad.toml"), "webhook endpoint 'crm', secret"),
    ],
    ids=["address", "name", "plan", "definitions", "database", "webhook"],
)
def test_a_start_that_cannot_be_is_explained(tmp_path, flags, said):
    """What is wrong is said before anything runs, without a traceback."""
    (tmp_path / "bad.toml").write_text('[[webhooks]]\nname = "crm"\nurl = "https://crm.example"\nsecret = "short"\n')

    ended = assay(tmp_path, "serve", "--port", "0", *flags)

    assert 2 == ended.returncode
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_another_identity_key_is_refused(tmp_path):
    """A database begun under one identity key is not continued under another: nobody would be recognised."""
    with serving(tmp_path) as collector:
        assert 0 == collector.terminate()
    (tmp_path / "assay.toml").write_text('identity_key = "another key, long enough for it"\n')

    ended = assay(tmp_path, "serve", "--port", "0")

    assert "setting identity_key is not what this database was begun with" in ended.stderr
    assert ended.returncode != 0
