"""The sender port: what the deliver stage asks of whoever can reach the network."""

from dataclasses import dataclass
from typing import Literal, Protocol

from assay_collector.deliver.endpoints import Endpoint
from assay_collector.store import OutboxMessage


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """The endpoint answered."""

    status: int  # of HTTP
    retry_after: str | None = None  # the header, as it came
    excerpt: str = ""  # of the body: at most 200 characters, escaped to visible ASCII


@dataclass(frozen=True, kw_only=True, slots=True)
class NoAnswer:
    """There was no answer, or the message was not sent at all."""

    kind: Literal["refused", "unreachable", "timeout", "broken"]  # refused: by us, for the address it would reach
    detail: str  # for people; holds nothing secret


SendResult = Answer | NoAnswer


class Sender(Protocol):
    """Sends one message once. Safe to use from many threads."""

    def send(self, endpoint: Endpoint, message: OutboxMessage, now: int) -> SendResult:
        """
        Send a message, signed, and return what came of it.

        Follows no redirect, and reaches no address that the endpoint does not allow. Comes back within the endpoint's
        timeout (and the time its host's name takes to resolve). Trouble on the way is a result, never an exception.

        Args:
            now: Becomes the signed time of sending.
        """
