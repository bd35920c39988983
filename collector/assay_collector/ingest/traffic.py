"""
Traffic that nobody's interest is behind: bots, and the people of the house. It is stored, marked, and by default never
scored.

What a bot calls itself is a list of its own, kept by others: crawler-user-agents.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Final, Literal

from crawleruseragents import CRAWLER_USER_AGENTS_DATA

from assay.contract.messages import Event
from assay_collector.ingest.addresses import parse_address

Traffic = Literal["bot", "internal"]
TRAFFIC: Final[tuple[Traffic, ...]] = ("bot", "internal")

Network = IPv4Network | IPv6Network

# Where in a stored event's context the mark stands. Clients cannot set it.
MARK: Final = "traffic"

_VERDICTS_MAX = 10_000
_USER_AGENT_CHARS_MAX = 512
_CHUNK = 25  # alternatives a pattern: one pattern of all of them is slower


@dataclass(frozen=True, slots=True)
class TrafficRules:
    """What is marked, and what of it counts all the same."""

    internal_networks: Sequence[Network] = ()
    counted: frozenset[str] = frozenset()  # bot | internal

    def mark(self, event: Event, *, address: str | None, user_agent: str | None) -> Traffic | None:
        """
        What an event is, unless it is somebody's.

        Args:
            address: Where it comes from, in full; None: the message itself may say.
            user_agent: The request's own, if a browser made it; what the message says of its sender wins.
        """
        if self.internal_networks and self._is_internal(address or event.context.get("ip")):
            return "internal"
        said = event.context.get("userAgent")
        if isinstance(said, str) and said:
            # A server reports who called it. A program that calls an API is a customer; in a page it is none.
            return "bot" if (is_program if user_agent is not None else is_crawler)(said) else None
        return "bot" if user_agent is not None and is_program(user_agent) else None

    def may_score(self, mark: Traffic | None) -> bool:
        """Whether what is so marked may be tallied."""
        return mark is None or mark in self.counted

    def _is_internal(self, address: object) -> bool:
        if not isinstance(address, str):
            return False
        parsed = parse_address(address)
        return parsed is not None and any(parsed in network for network in self.internal_networks)


NO_RULES: Final = TrafficRules()


def is_program(user_agent: str) -> bool:
    """Whether this is the name of any known program that is no person's browser, HTTP libraries included."""
    return _is_program(user_agent[:_USER_AGENT_CHARS_MAX])


def is_crawler(user_agent: str) -> bool:
    """The same without HTTP libraries, which customers' own programs use."""
    return _is_crawler(user_agent[:_USER_AGENT_CHARS_MAX])


def _matcher(entries: Iterable[dict[str, Any]]) -> Callable[[str], bool]:
    patterns = [entry["pattern"] for entry in entries]
    compiled: list[re.Pattern[str]] = []

    @lru_cache(_VERDICTS_MAX)
    def matches(user_agent: str) -> bool:
        if not compiled:
            # At the first question, as it takes a while.
            compiled.extend(re.compile("|".join(patterns[at : at + _CHUNK])) for at in range(0, len(patterns), _CHUNK))
        return any(pattern.search(user_agent) for pattern in compiled)

    return matches


_is_program = _matcher(CRAWLER_USER_AGENTS_DATA)
_is_crawler = _matcher(entry for entry in CRAWLER_USER_AGENTS_DATA if "http-library" not in entry.get("tags", ()))
