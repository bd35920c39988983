"""The one door to the network: a batch goes out, an answer comes back."""

import threading
import time
from base64 import b64encode
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from assay._version import __version__
from assay.delivery import Answer
from assay.errors import InvalidSetting
from assay.lifecycle import hold_over_forks

if TYPE_CHECKING:
    import httpx

# An answer of per-event results for 2,500 events has about 300 KB.
ANSWER_BYTES_MAX = 4 * 1024 * 1024
# Below this, compressing saves no packet.
GZIP_BYTES_MIN = 1_024

# Held while httpx is being imported and set up, which happens on a sender's thread. A fork in the middle of that would
# leave half-made modules in the child, and their locks taken for ever, so forks wait for this one.
importing = hold_over_forks(threading.Lock())


class Transport(Protocol):
    """
    Sends batches. Every implementation keeps these promises:

    - ``send`` raises nothing because of the network: no answer is an ``Answer`` with status 0 and the error's class.
    - ``send`` takes about ``timeout_seconds`` at most.
    - ``send`` sends the body as it is, once; to try again is the sender's business.
    - Nothing it returns or logs holds the write key or content of events.
    - It is called by one thread at a time. ``close`` is the last call and may come without any ``send``.
    - ``forget`` gives up connections without touching them; a forked child calls it, as they are its parent's.
    """

    def send(self, body: bytes, *, timeout_seconds: float) -> Answer: ...

    def close(self) -> None: ...

    def forget(self) -> None: ...


@runtime_checkable
class Reporter(Protocol):
    """A transport that can also take the client's report on itself; ``send``'s promises hold for it too."""

    def report(self, body: bytes, *, timeout_seconds: float) -> Answer: ...


class HttpTransport:
    """
    Sends batches to a collector through httpx, on one kept-alive connection.

    Redirects are not followed, so the key stays with the server it was meant for. As everywhere in httpx, the
    environment's ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY``, ``NO_PROXY``, ``SSL_CERT_FILE`` and ``SSL_CERT_DIR``
    count, unless ``trust_env`` is false.
    """

    def __init__(self, url: str, write_key: str, *, gzip: bool = True, trust_env: bool = True) -> None:
        self._endpoint = endpoint(url)
        self._gzip = gzip
        self._trust_env = trust_env
        self._headers = {
            "Authorization": "Basic " + b64encode(f"{write_key}:".encode()).decode(),
            "Content-Type": "application/json",
            "User-Agent": f"assay-python/{__version__}",
            # Asks the collector to say what became of each event.
            "Prefer": "return=representation",
        }
        self._http: httpx.Client | None = None
        self._abandoned: list[httpx.Client] = []

    def send(self, body: bytes, *, timeout_seconds: float) -> Answer:
        """Post one batch. See the promises of Transport."""
        return self._send(self._endpoint, body, timeout_seconds)

    def report(self, body: bytes, *, timeout_seconds: float) -> Answer:
        """Post the client's report. See Reporter."""
        return self._send(self._endpoint.removesuffix("/batch") + "/m", body, timeout_seconds)

    def plan(self, revision: str | None, *, timeout_seconds: float) -> Answer:
        """Fetch the collector's plan. See assay.following."""
        known = {} if revision is None else {"If-None-Match": f'"{revision}"'}
        return self._ask("GET", self._endpoint.removesuffix("/batch") + "/plan", b"", known, timeout_seconds)

    def _send(self, endpoint: str, body: bytes, timeout_seconds: float) -> Answer:
        encoding = {}
        if self._gzip and len(body) >= GZIP_BYTES_MIN:
            body, encoding = _gzipped(body), {"Content-Encoding": "gzip"}
        return self._ask("POST", endpoint, body, encoding, timeout_seconds)

    def _ask(self, method: str, url: str, body: bytes, headers: dict[str, str], timeout_seconds: float) -> Answer:
        ends_at = time.monotonic() + timeout_seconds
        http = self._open()
        import httpx

        try:
            return self._answer(http, method, url, body, headers, ends_at)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            return Answer(status=0, failure=type(error).__name__)

    def close(self) -> None:
        """Close the connection."""
        http, self._http = self._http, None
        if http is not None:
            http.close()

    def forget(self) -> None:
        """Leave the connection to the parent process; it is kept here so that nothing closes it."""
        if self._http is not None:
            self._abandoned.append(self._http)
        self._http = None

    def _answer(
        self, http: "httpx.Client", method: str, url: str, body: bytes, headers: dict[str, str], ends_at: float
    ) -> Answer:
        timeout = max(0.001, ends_at - time.monotonic())
        headers = {**self._headers, **headers} if headers else self._headers
        with http.stream(method, url, content=body, headers=headers, timeout=timeout) as response:
            received = bytearray()
            for chunk in response.iter_bytes():
                received += chunk
                # httpx bounds each read; an answer that trickles in is bounded here.
                if len(received) > ANSWER_BYTES_MAX or time.monotonic() > ends_at:
                    return Answer(status=0, failure="AnswerTooSlowOrLarge")
            retry_after = response.headers.get("Retry-After", "")
            return Answer(status=response.status_code, body=bytes(received), retry_after=retry_after)

    def _open(self) -> "httpx.Client":
        if self._http is None:
            with importing:
                # Late: it takes longer to import than everything else together, and no app should have to wait for
                # it. The codec is for names of hosts; sockets would import it with the first request.
                import encodings.idna  # noqa: F401

                import httpx

                self._http = httpx.Client(trust_env=self._trust_env, follow_redirects=False)
        return self._http


def endpoint(url: str) -> str:
    """
    Where batches go.

    Raises:
        InvalidSetting: The URL is not one that a collector can have.
    """
    from urllib.parse import urlsplit  # late: an import of assay alone needs it for nothing

    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
        has_extras = bool(parts.query or parts.fragment or parts.username or parts.password)
    except (ValueError, AttributeError, TypeError):
        usable = has_extras = False
    if has_extras:
        # Not quoted: it may hold a secret.
        raise InvalidSetting("url", "must have no user name, password, query or fragment; give the key as write_key")
    if not usable:
        raise InvalidSetting(
            "url", f"must be the collector's http(s) address, such as https://collect.example; got {url!r}"
        )
    return url.rstrip("/") + "/v1/batch"


def _gzipped(body: bytes) -> bytes:
    import zlib

    # Level 1 takes under 1 us an event and is within a tenth of the best level's size on batches of alike events.
    compress = zlib.compressobj(1, zlib.DEFLATED, 31)
    return compress.compress(body) + compress.flush()
