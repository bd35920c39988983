"""
What becomes of events in a bad moment: the same probes for ours and for other published SDKs, side by side.

Each probe is a process of its own against a server on loopback that counts. The others are installed, as their makers
published them, into folders under .venv-peers; one that cannot be installed is left out, and named.

    python benchmarks/probes.py [--only assay segment ...]
"""

import argparse
import gzip
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / ".venv-peers" / (sys.implementation.cache_tag or "python") / "probes"
PATIENCE_SECONDS = 25.0
MARKER = re.compile(rb"marker-(\w+)")


@dataclass(frozen=True)
class Peer:
    """A client: what pip calls it, and code that defines ``track(marker, **properties)`` and ``flush()``."""

    requirement: str
    code: str


PEERS = {
    "assay": Peer(
        "",
        """
        import assay
        client = assay.Client(URL, "key", queue_events_max=QUEUE)
        def track(marker, **more): return client.track("u1", "Event", {"marker": "marker-" + marker, **more})
        flush = client.flush
        """,
    ),
    "segment": Peer(
        "segment-analytics-python",
        """
        from segment.analytics.client import Client
        client = Client("key", host=URL, max_queue_size=QUEUE)
        def track(marker, **more): return client.track("u1", "Event", {"marker": "marker-" + marker, **more})
        flush = client.flush
        """,
    ),
    "rudder": Peer(
        "rudder-sdk-python",
        """
        from rudderstack.analytics.client import Client
        client = Client("key", host=URL, max_queue_size=QUEUE)
        def track(marker, **more): return client.track("u1", "Event", {"marker": "marker-" + marker, **more})
        flush = client.flush
        """,
    ),
    "amplitude": Peer(
        "amplitude-analytics",
        """
        from amplitude import Amplitude, BaseEvent
        client = Amplitude("key")
        client.configuration.server_url = URL + "/2/httpapi"
        def track(marker, **more):
            properties = {"marker": "marker-" + marker, **more}
            client.track(BaseEvent(event_type="Event", user_id="user-1", event_properties=properties))
        flush = lambda: [future.result() for future in client.flush() if future]
        """,
    ),
    "posthog": Peer(
        "posthog",
        """
        from posthog import Posthog
        client = Posthog("key", host=URL, max_queue_size=QUEUE)
        def track(marker, **more):
            return client.capture("Event", distinct_id="u1", properties={"marker": "marker-" + marker, **more})
        flush = client.flush
        """,
    ),
    "mixpanel": Peer(
        "mixpanel",
        """
        from mixpanel import Consumer, Mixpanel
        client = Mixpanel("key", consumer=Consumer(events_url=URL + "/track"))
        def track(marker, **more): client.track("u1", "Event", {"marker": "marker-" + marker, **more})
        flush = lambda: None  # each call sends, and waits
        """,
    ),
    "snowplow": Peer(
        "snowplow-tracker",
        """
        from snowplow_tracker import Emitter, SelfDescribing, SelfDescribingJson, Tracker
        emitter = Emitter(URL.split("//")[1], protocol="http", method="post", batch_size=10)
        client = Tracker("probe", emitters=[emitter], encode_base64=False)
        def track(marker, **more):
            data = SelfDescribingJson("iglu:com.example/event/jsonschema/1-0-0", {"marker": "marker-" + marker, **more})
            client.track(SelfDescribing(data))
        flush = client.flush
        """,
    ),
}


@dataclass
class Sink:
    """A server that counts markers. first: what to answer at first: nothing special, 503 or nothing at all."""

    first: str = ""
    markers: Counter[str] = field(default_factory=Counter)
    times: list[float] = field(default_factory=list)
    url: str = ""

    @contextmanager
    def served(self) -> Iterator["Sink"]:
        done = threading.Event()
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if body[:2] == b"\x1f\x8b":
                    body = gzip.decompress(body)
                found = [match.decode() for match in MARKER.findall(body)]
                sink.times += [time.monotonic()] if found else []
                if sink.first == "hang" and found:
                    done.wait(60)
                if not _is_json(body):
                    found = []  # as any collector, this one cannot read a batch with a bare NaN in it
                is_refused = sink.first == "503" and len(sink.times) == 1
                if not is_refused:
                    sink.markers.update(found)
                answer = b'{"success":true,"code":200,"status":1,"error":null}'
                try:
                    self.send_response(503 if is_refused else 200)
                    if is_refused:
                        self.send_header("Retry-After", "3")
                    self.send_header("Content-Length", str(len(answer)))
                    self.end_headers()
                    self.wfile.write(answer)
                except OSError:
                    self.close_connection = True

            def log_message(self, format: str, *args: object) -> None: ...

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that are killed hang up
        self.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield self
        finally:
            done.set()
            server.shutdown()
            thread.join()
            server.server_close()


def _is_json(body: bytes) -> bool:
    """Whether a body, or the field ``data`` of a form, is JSON by the standard."""
    text = body.decode(errors="replace")
    try:
        json.loads(parse_qs(text)["data"][0] if text.startswith("data=") else text, parse_constant=_refuse)
    except ValueError:
        return False
    return True


def _refuse(constant: str) -> None:
    raise ValueError(constant)


@dataclass(frozen=True)
class Ended:
    """A probe's process: its output, and how long it took (None: it was killed)."""

    out: str
    err: str
    seconds: float | None

    @property
    def took(self) -> str:
        return f"over {PATIENCE_SECONDS:.0f} s" if self.seconds is None else f"{self.seconds:.1f} s"


def run(name: str, sink: Sink, code: str, *, queue: int = 10_000, term_at: str = "") -> Ended:
    """Run code after a client's; term_at: SIGTERM when it has printed this."""
    head = f"URL, QUEUE = {sink.url!r}, {queue}\n" + textwrap.dedent(PEERS[name].code)
    environment = {**os.environ, "PYTHONPATH": str(HOME / name)} if PEERS[name].requirement else dict(os.environ)
    with tempfile.TemporaryDirectory() as folder:
        start = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-c", head + textwrap.dedent(code)],
            env=environment,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        if term_at:
            assert process.stdout is not None
            for line in process.stdout:
                if line.strip() == term_at:
                    process.send_signal(signal.SIGTERM)
                    break
        try:
            out, err = process.communicate(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            return Ended(out, err, None)
        return Ended(out, err, time.monotonic() - start)


def told(sink: Sink, of: int) -> str:
    """So many of so many, and how many came twice."""
    twice = sum(sink.markers.values()) - len(sink.markers)
    return f"{len(sink.markers)} of {of}" + (f", {twice} twice" if twice else "")


def exit_without_flush(name: str) -> str:
    """exit without flush, 530 events queued"""
    with Sink().served() as sink:
        run(name, sink, "for n in range(530): track(str(n))")
        return told(sink, 530)


def sigterm(name: str) -> str:
    """SIGTERM after 200 events"""
    with Sink().served() as sink:
        run(
            name,
            sink,
            "import time\nfor n in range(200): track(str(n))\nprint('go', flush=True)\ntime.sleep(60)",
            term_at="go",
        )
        return told(sink, 200)


def fork(name: str) -> str:
    """fork: 20 events of the parent, 20 of the child"""
    code = """
        import os, signal, sys
        for n in range(20): track(f"p{n}")
        child = os.fork()
        if child == 0:
            signal.alarm(10)
            for n in range(20): track(f"c{n}")
            flush()
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        flush()
        print("hung" if status else "")
    """
    with Sink().served() as sink:
        hung = "hung" in run(name, sink, code).out
        return told(sink, 40) + (", the child hung" if hung else "")


def nan(name: str) -> str:
    """one NaN among three events"""
    with Sink().served() as sink:
        ended = run(name, sink, "for n in range(3): track(str(n), x=float('nan') if n == 1 else 1)\nflush()")
        return told(sink, 3) + (", raised" if "Traceback" in ended.err and "Error" in ended.err else "")


def full_queue(name: str) -> str:
    """queue of 100, 1,000 tracks, server hangs: lines in the log"""
    code = """
        import logging, os
        logging.basicConfig()
        for n in range(1000): track(str(n))
        os._exit(0)
    """
    with Sink("hang").served() as sink:
        ended = run(name, sink, code, queue=100)
        return f"{len(ended.err.splitlines())} lines" if ended.seconds is not None else f"track() blocked {ended.took}"


def retry_after(name: str) -> str:
    """Retry-After: 3"""
    with Sink("503").served() as sink:
        run(name, sink, "track('1')\nflush()\nimport time\ntime.sleep(8)")
        waits = [later - first for first, later in zip(sink.times, sink.times[1:], strict=False)]
        return f"again after {waits[0]:.1f} s" if waits else "never again"


def hanging_server(name: str) -> str:
    """hanging server at exit: how long the process takes"""
    with Sink("hang").served() as sink:
        return run(name, sink, "track('1')").took


def oversize(name: str) -> str:
    """event of 1 MB beside a good one"""
    code = """
        try:
            track("big", text="secret" * 170_000)
            print("passed on")
        except Exception as error:
            print("raised", "with the event in it" if "secretsecret" in str(error) + repr(error.args) else "")
        track("good")
        flush()
    """
    with Sink().served() as sink:
        ended = run(name, sink, code)
        said = ended.out.strip() if "raised" in ended.out else ("told" if "large" in ended.err else "silent")
        return f"good one {'arrived' if sink.markers['good'] else 'LOST'}; {said}"


def killed(name: str) -> str:
    """kill -9 with 200 events queued, then another process"""
    more = (
        "client.close(0)\nclient = assay.Client(URL, 'key', spool='spool', linger_seconds=60)\n"
        if name == "assay"
        else ""
    )
    code = f"""
        import os, sys
        if os.fork() == 0:
            {more.replace(chr(10), chr(10) + " " * 12).rstrip()}
            for n in range(200): track(str(n))
            os.kill(os.getpid(), 9)
        os.wait()
        {"client = assay.Client(URL, 'key', spool='spool')" if more else ""}
        track("after")
        import time
        time.sleep(1)
        flush()
    """
    with Sink().served() as sink:
        run(name, sink, code)
        return told(sink, 201)


def accounts(name: str) -> str:
    """what happened to my events?"""
    with Sink().served() as sink:
        ended = run(name, sink, "print(hasattr(client, 'stats'))")
        return "stats()" if "True" in ended.out else "no counters"


PROBES: tuple[Callable[[str], str], ...] = (
    exit_without_flush,
    sigterm,
    fork,
    nan,
    full_queue,
    retry_after,
    hanging_server,
    oversize,
    killed,
    accounts,
)


def install(name: str) -> bool:
    """A folder with the client as published. Returns: whether there is one."""
    folder, requirement = HOME / name, PEERS[name].requirement
    if not requirement or folder.exists():
        return True
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"]
    partial = folder.with_suffix(".partial")
    if subprocess.run([*command, str(partial), requirement], check=False, capture_output=True).returncode:
        return False
    partial.rename(folder)
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PEERS, default=list(PEERS))
    names = [name for name in parser.parse_args().only if install(name) or print(f"{name} could not be installed")]
    for probe in PROBES:
        print(probe.__doc__)
        for name in names:
            print(f"    {name:10} {probe(name)}", flush=True)


if __name__ == "__main__":
    main()
