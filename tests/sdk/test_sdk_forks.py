"""The fork matrix, in real processes: the parent's events once, each child's once, whoever makes the child."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path

import httpx
import pytest
from scripted_server import ScriptedServer

from serving import wait_until

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


def who(server: ScriptedServer) -> Counter[str]:
    """How many different events came from whom; none may have come twice."""
    assert len(server.events) == len({event["messageId"] for event in server.events})
    return Counter(event["properties"]["who"] for event in server.events)


def run(folder: Path, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the code as a file, as spawned children import it again."""
    script = folder / "script.py"
    script.write_text(textwrap.dedent(code))
    command = [sys.executable, "-W", "error", "-W", "ignore:.*multi-threaded:DeprecationWarning", str(script)]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes_of_multiprocessing_send_their_own_events(tmp_path, method):
    """Children that just end deliver too, though a forked one never comes to its exit handlers; so does a pool."""
    with ScriptedServer() as server:
        done = run(
            tmp_path,
            """
            import multiprocessing, sys, assay
            client = assay.Client(sys.argv[1], "key", linger_seconds=60)
            def work(n):
                client.track("u1", "Seen", {"who": f"child {n}"})
            if __name__ == "__main__":
                client.track("u1", "Seen", {"who": "parent"})
                ways = multiprocessing.get_context(sys.argv[2])
                children = [ways.Process(target=work, args=(0,))]
                for child in children:
                    child.start()
                for child in children:
                    child.join()
                    assert child.exitcode == 0
                pool = ways.Pool(1)
                pool.map(work, range(1, 4))
                pool.close()
                pool.join()
                client.track("u1", "Seen", {"who": "parent"})
            """,
            server.url,
            method,
        )

    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
    assert {"parent": 2, **{f"child {n}": 1 for n in range(4)}} == who(server)


def test_a_child_that_is_terminated_sends_its_events(tmp_path):
    """A forked child has its parent's SIGTERM handler, with a queue of its own."""
    with ScriptedServer() as server:
        done = run(
            tmp_path,
            """
            import multiprocessing, sys, time, assay
            client = assay.Client(sys.argv[1], "key", linger_seconds=60)
            ways = multiprocessing.get_context("fork")
            tracked = ways.Event()
            def work():
                client.track("u1", "Seen", {"who": "child"})
                tracked.set()
                for _ in range(600):
                    time.sleep(0.1)
            child = ways.Process(target=work)
            child.start()
            tracked.wait(30)
            child.terminate()
            child.join()
            print(child.exitcode)
            """,
            server.url,
        )

    assert (0, f"-{int(signal.SIGTERM)}\n", "") == (done.returncode, done.stdout, done.stderr)
    assert {"child": 1} == who(server)


def test_forks_from_many_threads_never_hang(tmp_path):
    """Children are forked while other threads track, make clients and configure: no lock comes along held."""
    with ScriptedServer() as server:
        done = run(
            tmp_path,
            """
            import os, sys, threading, assay
            client = assay.Client(sys.argv[1], "key", exit_seconds=20)
            over = threading.Event()
            def busy():
                while not over.wait(0.001):
                    client.track("u1", "Seen", {"who": "parent"})
                    assay.configure(sys.argv[1], "key")
            threads = [threading.Thread(target=busy) for _ in range(3)]
            for thread in threads:
                thread.start()
            codes = []
            for n in range(8):
                child = os.fork()
                if child == 0:
                    assay.configure(sys.argv[1], "key")
                    client.track("u1", "Seen", {"who": "child"})
                    os._exit(client.close(20))
                codes.append(os.waitpid(child, 0)[1])
            over.set()
            for thread in threads:
                thread.join()
            client.flush(20)
            print(sum(codes), client.stats().tracked)
            """,
            server.url,
        )
    codes, tracked = done.stdout.split()

    assert (0, "0") == (done.returncode, codes), done.stderr
    assert {"parent": int(tracked), "child": 8} == who(server)


@pytest.mark.parametrize("kind", ["sync", "gevent"])
def test_gunicorn_with_preload(tmp_path, kind):
    """One client made before the workers: the master's events and each worker's arrive when gunicorn is stopped."""
    (tmp_path / "shop.py").write_text(
        textwrap.dedent(
            """
            import os
            import assay
            client = assay.Client(os.environ["COLLECTOR"], "key", linger_seconds=60)
            client.track("u1", "Seen", {"who": "master"})
            def app(environ, start_response):
                client.track("u1", "Seen", {"who": "worker"})
                start_response("200 OK", [("Content-Type", "text/plain")])
                return [str(os.getpid()).encode()]
            """
        )
    )
    port = free_port()
    command = ["-m", "gunicorn", "shop:app", "--preload", "-w", "2", "-b", f"127.0.0.1:{port}", "-k", kind]
    with ScriptedServer() as server:
        # gunicorn keeps a socket in the home directory.
        environment = {**os.environ, "COLLECTOR": server.url, "HOME": str(tmp_path)}
        process = subprocess.Popen(
            [sys.executable, *command], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
        )
        with process:
            asked = ask_until_two_answered(port)
            process.terminate()
            _, said = process.communicate(timeout=60)

    assert 0 == process.returncode, said
    assert {"master": 1, "worker": asked} == who(server), said


@pytest.mark.parametrize("server_kind", ["uvicorn", "granian"])
def test_asgi_servers_keep_their_own_way_to_stop(tmp_path, server_kind):
    """A client made in the app, or while the loop runs, delivers at SIGTERM; the server still stops in order."""
    (tmp_path / "service.py").write_text(
        textwrap.dedent(
            """
            import os
            import assay
            client = assay.Client(os.environ["COLLECTOR"], "key", linger_seconds=60)
            late = []
            async def app(scope, receive, send):
                if scope["type"] == "lifespan":
                    await receive()
                    late.append(assay.Client(os.environ["COLLECTOR"], "key", linger_seconds=60))
                    await send({"type": "lifespan.startup.complete"})
                    await receive()
                    client.track("u1", "Seen", {"who": "shutdown"})
                    await send({"type": "lifespan.shutdown.complete"})
                    return
                for each in (client, *late):
                    each.track("u1", "Seen", {"who": "request"})
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": b"1"})
            """
        )
    )
    port = free_port()
    options = {
        "uvicorn": ["service:app", "--port", str(port), "--log-level", "warning"],
        "granian": ["service:app", "--interface", "asgi", "--port", str(port), "--no-log"],
    }
    with ScriptedServer() as server:
        environment = {**os.environ, "COLLECTOR": server.url}
        command = [sys.executable, "-m", server_kind, *options[server_kind]]
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
        with process:
            wait_until(lambda: answer(port) is not None, 30)
            process.terminate()
            _, said = process.communicate(timeout=60)

    # uvicorn ends by the signal that it was sent, once it has shut down.
    assert process.returncode in (0, -signal.SIGTERM), said
    assert {"request": 2, "shutdown": 1} == who(server), said


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answer(port: int) -> str | None:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/", timeout=10).text
    except httpx.HTTPError:
        return None


def ask_until_two_answered(port: int) -> int:
    """Ask until both workers have answered. Returns: how many answers there were."""
    answers: list[str] = []

    def both() -> bool:
        said = answer(port)
        answers.extend([said] if said else [])
        return len(set(answers)) == 2

    wait_until(both, 30)
    return len(answers)
