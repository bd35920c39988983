"""A real browser with the unmodified browser SDK in it, and the site whose pages it visits."""

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

FOLDER = Path(__file__).parent / "browser"
PACKAGE = FOLDER / "node_modules" / "@segment" / "analytics-next"

Json = dict[str, Any]


@dataclass(frozen=True)
class Sent:
    """A POST that a page sent."""

    url: str
    headers: dict[str, str]
    body: str

    def json(self) -> Json:
        return json.loads(self.body)


class Browser:
    """Chromium in a process of its own, which follows orders one by one."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def order(self, do: str, **details: Any) -> Any:
        """Have something done; what came of it."""
        self._process.stdin.write(json.dumps({"do": do, **details}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the browser is gone"
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer["value"]

    def visitor(self, name: str, *, gpc: bool = False, user_agent: str | None = None) -> "Visitor":
        """Somebody with a browser profile of their own."""
        self.order("visitor", name=name, gpc=gpc, **({"userAgent": user_agent} if user_agent else {}))
        return Visitor(self, name)


@dataclass
class Visitor:
    """A browser profile."""

    browser: Browser
    name: str
    tabs: int = 0

    def open(self, url: str) -> "Tab":
        """A new tab that shows a page."""
        self.tabs += 1
        tab = Tab(self.browser, f"{self.name} {self.tabs}")
        self.browser.order("open", visitor=self.name, tab=tab.name, url=url)
        return tab

    def sent(self) -> list[Sent]:
        """
        Every POST of this profile so far, in order; a request that is tried again counts again.

        What goes out when a page is left is not among them: the page is gone before anybody could be told.
        """
        found = self.browser.order("sent", visitor=self.name)
        return [Sent(each["url"], each["headers"], each["body"] or "") for each in found]

    def messages(self) -> list[Json]:
        """Every message in those, single or in a batch."""
        bodies = [each.json() for each in self.sent()]
        return [message for body in bodies for message in body.get("batch", [body])]


@dataclass(frozen=True)
class Tab:
    """A page that is shown."""

    browser: Browser
    name: str

    def run(self, script: str) -> Any:
        """What a script comes to, once its promise is kept."""
        return self.browser.order("run", tab=self.name, script=script)

    def call(self, method: str, *arguments: Any) -> None:
        """
        A call of the SDK, as the product's own code makes it.

        It is done once the SDK has given the event to its destination, which tries once to send it.
        """
        written = ", ".join(map(json.dumps, arguments))
        self.run(f"analytics.{method}({written}).then(() => null)")

    def anonymous_id(self) -> str:
        return self.run("analytics.user().then((user) => user.anonymousId())")

    def go(self, url: str) -> None:
        self.browser.order("go", tab=self.name, url=url)

    def reload(self) -> None:
        self.browser.order("reload", tab=self.name)

    def close(self) -> None:
        self.browser.order("close", tab=self.name)


@dataclass(frozen=True)
class Site:
    """A product's web site: one page, with the SDK as its makers published it."""

    url: str

    def page(self, key: str, collector: str, **segment: Any) -> str:
        """
        The page's address.

        Args:
            segment: Options of the SDK's own destination, e.g. its delivery strategy.
        """
        options = {"integrations": {"Segment.io": segment}} if segment else {}
        asked = {"key": key, "collector": collector, "options": json.dumps(options)}
        return f"{self.url}/?{urlencode(asked, quote_via=quote)}"


class _Pages(SimpleHTTPRequestHandler):
    def translate_path(self, path: str) -> str:
        name = path.partition("?")[0]
        if name.startswith("/analytics-next/"):
            return str(PACKAGE / "dist" / "umd" / Path(name).name)
        return str(FOLDER / "page.html") if name == "/" else str(FOLDER / "nothing")

    def log_message(self, *_: Any) -> None:
        """Quiet: it is the collector that is looked at."""


@contextmanager
def site() -> Iterator[Site]:
    """The web site, at an origin of its own: whatever its pages send to the collector crosses origins."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Pages)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Site(f"http://127.0.0.1:{server.server_port}")
        server.shutdown()


@contextmanager
def browser() -> Iterator[Browser]:
    """A running Chromium; all its profiles are gone with it."""
    process = subprocess.Popen(
        ["node", "drive.js", chromium()],
        cwd=FOLDER,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Browser(process)
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


def chromium() -> str:
    """The browser's path."""
    done = subprocess.run(["node", "find.js"], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stderr
    return done.stdout.strip()
