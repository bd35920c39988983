"""What the edges may ask of the ingest stage, and what they tell it about a request."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from assay.contract.reading import Arrival, Envelope
from assay_collector.store import Outcome, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSignals:
    """What a request says beside its body."""

    gpc: bool  # Sec-GPC: 1
    dnt: bool  # DNT: 1
    # The sender's address. Ingest uses it only for a direct browser call, or when the message's context.direct is true.
    ip: str | None
    browser: bool = False  # it came straight from a browser: a browser key, or an Origin header
    # The User-Agent header where an Origin header says that a page sent it; "" when there is none. None: no page did.
    user_agent: str | None = None
    # Whose write key an item names. None: nobody's. Raises StoreUnavailable.
    sources: Callable[[str], Source | None]


class Ingest(Protocol):
    """The way of an event: read, decide, store; safe to call from many threads."""

    def receive(
        self, envelope: Envelope, source: Source, arrival: Arrival, signals: RequestSignals
    ) -> Sequence[Outcome]:
        """
        Take in everything an envelope holds.

        Args:
            source: The source that the request's key names; an item's own write key wins over it.
            arrival: With `sent_at` and `anonymous_id` from headers; what the envelope says is not in it yet.

        Returns:
            One outcome an item, in order; all of it is durable.

        Raises:
            StoreUnavailable: Nothing was stored; the sender should try again.
        """

    def refuse(self, body: bytes, source: Source, code: str, detail: str, received_at: int) -> None:
        """
        Keep a body of which nothing could be read, cut to REFUSED_BYTES_MAX, in the quarantine.

        Raises:
            StoreUnavailable: It was not kept.
        """


REFUSED_BYTES_MAX = 64 * 1024
