"""
Connections that cannot be led astray, and cannot last longer than they may.

The check sits where a socket is opened, not where a URL is read: a name is resolved once, every address it resolves to
is judged, and the socket is opened to an address that was judged. A name that answers differently a moment later, an
unusual spelling of an address, a redirect: none of them finds another way to the network.
"""

import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from ssl import SSLContext
from typing import Any

import httpcore
import httpx

from assay.contract.errors import AssayError
from assay_collector.deliver.addresses import refusal

CONNECT_SECONDS_MAX = 5.0  # for one address of possibly several
WRITE_BYTES = 4096  # between two looks at the clock

Resolve = Callable[[str, int], Sequence[str]]

_DEADLINE: ContextVar[float] = ContextVar("deadline")


@dataclass(eq=False)
class ForbiddenAddress(AssayError):
    """A host's name leads where a webhook must not go."""

    host: str
    address: str
    kind: str

    def __str__(self) -> str:
        return f"{self.host} resolves to {self.address}, which is {self.kind}, and that is not allowed"


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Within the block, and in this thread, every network operation of a `GuardedTransport` ends by then."""
    token = _DEADLINE.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _DEADLINE.reset(token)


def resolve(host: str, port: int) -> Sequence[str]:
    """
    Every address of a host, by the system's resolver.

    Raises:
        OSError: There is none.
        UnicodeError: It is no name that could have one.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


class GuardedTransport(httpx.BaseTransport):
    """HTTP/1.1 over connections to allowed addresses only; to be used within `deadline`."""

    def __init__(self, *, allow_private: bool, ssl_context: SSLContext, resolve: Resolve = resolve) -> None:
        backend = _GuardedBackend(allow_private, resolve)
        # Connections are kept by scheme, host and port, so that one is only ever used for the host it was verified for.
        self._pool = httpcore.ConnectionPool(
            ssl_context=ssl_context, network_backend=backend, max_connections=None, keepalive_expiry=5.0
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """
        Send a request and return its response, of which only the head has been read.

        Raises:
            ForbiddenAddress: The host resolves to an address that may not be reached.
            httpx.TimeoutException: The deadline passed.
            httpx.TransportError: Anything else went wrong on the way.
        """
        with _translated():
            response = self._pool.handle_request(
                httpcore.Request(
                    method=request.method,
                    url=httpcore.URL(
                        scheme=request.url.raw_scheme,
                        host=request.url.raw_host,
                        port=request.url.port,
                        target=request.url.raw_path,
                    ),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions={"timeout": dict.fromkeys(("connect", "read", "write", "pool"), _remaining())},
                )
            )
        return httpx.Response(
            status_code=response.status, headers=response.headers, stream=_Body(response), request=request
        )

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        with _translated():
            yield from self._response.iter_stream()

    def close(self) -> None:
        with _translated():
            self._response.close()


class _GuardedBackend(httpcore.NetworkBackend):
    """Opens sockets to addresses it has judged itself."""

    def __init__(self, allow_private: bool, resolve: Resolve) -> None:
        self._allow_private = allow_private
        self._resolve = resolve
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failure: httpcore.NetworkError | httpcore.TimeoutException = httpcore.ConnectError(f"{host} has no address")
        for address in self._allowed(host, port):
            try:
                seconds = _remaining(min(timeout or CONNECT_SECONDS_MAX, CONNECT_SECONDS_MAX))
                stream = self._plain.connect_tcp(address, port, seconds, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _DeadlineStream(stream)
        raise failure

    def _allowed(self, host: str, port: int) -> Sequence[str]:
        try:
            addresses = self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"{host} cannot be resolved: {error}") from error
        # One bad address among good ones means that the name cannot be trusted, so that all of them are judged first.
        for address in addresses:
            kind = refusal(address, allow_private=self._allow_private)
            if kind is not None:
                raise ForbiddenAddress(host, address, kind)
        return addresses


class _DeadlineStream(httpcore.NetworkStream):
    """Each operation gets what is left until the deadline, so that a trickle of bytes does not prolong it."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _remaining(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), WRITE_BYTES):
            self._stream.write(buffer[start : start + WRITE_BYTES], _remaining(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _DeadlineStream(self._stream.start_tls(ssl_context, server_hostname, _remaining(timeout)))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _remaining(timeout: float | None = None) -> float:
    """Seconds until the deadline, at most `timeout`; more than 0, since a socket takes 0 for "do not block"."""
    seconds = _DEADLINE.get() - time.monotonic()
    if seconds <= 0:
        raise httpcore.ReadTimeout("the time for this attempt is over")
    return seconds if timeout is None else min(seconds, timeout)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except httpcore.TimeoutException as error:
        raise httpx.TimeoutException(str(error)) from error
    except httpcore.NetworkError as error:
        raise httpx.NetworkError(str(error)) from error
    except (httpcore.ProtocolError, httpcore.ConnectionNotAvailable, httpcore.UnsupportedProtocol) as error:
        raise httpx.ProtocolError(str(error)) from error
