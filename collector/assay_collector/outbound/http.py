"""Webhooks over HTTP: the `Sender` port by httpx, signed by the Standard Webhooks convention."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ssl import SSLContext

import httpx
from standardwebhooks import Webhook

from assay._version import __version__
from assay.contract.times import SECOND
from assay_collector.deliver.endpoints import Endpoint
from assay_collector.deliver.sender import Answer, NoAnswer, SendResult
from assay_collector.outbound.network import ForbiddenAddress, GuardedTransport, Resolve, deadline, resolve
from assay_collector.store import OutboxMessage

BODY_BYTES_MAX = 64 * 1024
EXCERPT_CHARACTERS_MAX = 200

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class HttpSender:
    """
    The `Sender` port.

    It speaks to its transport directly rather than through an `httpx.Client`, which would log whole URLs, keep the
    receivers' cookies, and look for proxies and passwords in the environment.
    """

    def __init__(self, *, ssl_context: SSLContext | None = None, resolve: Resolve = resolve) -> None:
        """
        Args:
            ssl_context: Whom to trust; None: SSL_CERT_FILE's certificate authorities, else those that httpx brings.
            resolve: Finds a host's addresses.
        """
        context = ssl_context or httpx.create_ssl_context()
        self._transports = {
            allow_private: GuardedTransport(allow_private=allow_private, ssl_context=context, resolve=resolve)
            for allow_private in (False, True)
        }

    def send(self, endpoint: Endpoint, message: OutboxMessage, now: int) -> SendResult:
        """See `Sender.send`."""
        try:
            with deadline(endpoint.timeout_seconds):
                return self._post(endpoint, signed_request(endpoint, message, now))
        except ForbiddenAddress as error:
            return NoAnswer(kind="refused", detail=str(error))
        except httpx.InvalidURL:
            # What exactly is wrong is not repeated, since it may quote a password.
            return NoAnswer(kind="refused", detail=f"{endpoint.origin} and what follows is no URL that can be sent to")
        except httpx.TimeoutException:
            return NoAnswer(kind="timeout", detail=f"no whole answer within {endpoint.timeout_seconds:g} seconds")
        except httpx.NetworkError as error:
            return NoAnswer(kind="unreachable", detail=escaped(str(error)))
        except httpx.ProtocolError as error:
            return NoAnswer(kind="broken", detail=escaped(str(error)))

    def close(self) -> None:
        """Close every connection."""
        for transport in self._transports.values():
            transport.close()

    def _post(self, endpoint: Endpoint, request: httpx.Request) -> Answer:
        response = self._transports[endpoint.allow_private].handle_request(request)
        try:
            body = _beginning(response)
        finally:
            response.close()
        return Answer(
            status=response.status_code,
            retry_after=response.headers.get("retry-after"),
            excerpt=escaped(body.decode(errors="replace")),
        )


def signed_request(endpoint: Endpoint, message: OutboxMessage, now: int) -> httpx.Request:
    """
    The request that carries a message; its body is byte for byte what is signed.

    Source: Standard Webhooks specification, "Webhook headers" and "Signature scheme".
    """
    sent_at = _EPOCH + timedelta(seconds=now // SECOND)
    headers = {
        "content-type": "application/json",
        "user-agent": f"assay/{__version__}",
        "accept-encoding": "identity",
        "webhook-id": message.message_id,
        "webhook-timestamp": str(now // SECOND),
        "webhook-signature": Webhook(endpoint.secret).sign(message.message_id, sent_at, message.body.decode()),
    }
    request = httpx.Request("POST", endpoint.url, content=message.body, headers=headers)
    if request.url.userinfo:
        request = next(httpx.BasicAuth(request.url.username, request.url.password).auth_flow(request))
    return request


def escaped(text: str) -> str:
    """At most EXCERPT_CHARACTERS_MAX characters of visible ASCII, for a table that somebody else's words enter."""
    return text[:EXCERPT_CHARACTERS_MAX].encode("unicode_escape").decode("ascii")[:EXCERPT_CHARACTERS_MAX]


def _beginning(response: httpx.Response) -> bytes:
    """The answer's body as it came, compressed or not, and no more of it than BODY_BYTES_MAX."""
    body = b""
    # The status has been said by now. A body that comes too slowly, or breaks off, does not unsay it.
    with suppress(httpx.TransportError):
        for part in response.iter_raw():
            body += part
            if len(body) >= BODY_BYTES_MAX:
                break
    return body[:BODY_BYTES_MAX]
