"""What is known of a person's consent from elsewhere, at hand for sources that drop or anonymise."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager

from assay.contract.consent import PURPOSES
from assay.contract.times import SECOND
from assay_collector.identity.consent import stand
from assay_collector.store import ConsentEntry, Facts

# As long as an answer of the store is used again, and what was just admitted is remembered.
KEPT = 2 * SECOND
ENTRIES_MAX = 10_000

_REFUSALS = ("denied", "withdrawn")


class KnownConsent:
    """
    The log as the door sees it: what is stored, and what was admitted a moment ago and may not be stored yet.

    Asked only by sources that drop or anonymise. Safe to use from many threads.
    """

    def __init__(self, snapshot: Callable[[], AbstractContextManager[Facts]]) -> None:
        self._snapshot = snapshot
        self._stored: dict[bytes, tuple[int, Sequence[ConsentEntry], frozenset[bytes]]] = {}
        self._admitted: dict[bytes, tuple[int, tuple[ConsentEntry, ...]]] = {}

    def states(self, ids: Sequence[bytes], users: frozenset[bytes], at: int, now: int) -> Mapping[str, str]:
        """
        Where the person behind an event stands on each purpose: what it refused when the event happened, or refuses by
        now, is `denied`; what it had granted is `granted`; of other purposes nothing is known.

        Args:
            ids: The person's identifiers on the event.
            users: Which of them are user ids.

        Raises:
            StoreUnavailable: The store cannot be asked.
        """
        stored = [self._said(id, now) for id in ids]
        words = {entry for entries, _ in stored for entry in entries}
        words.update(entry for id in ids for entry in self._recent(id, now))
        if not words:
            return {}
        speakers = users.union(*(known for _, known in stored))
        then = stand([word for word in words if word.at <= at], speakers, at)
        today = stand(words, speakers, now)
        found: dict[str, str] = {}
        for purpose in PURPOSES:
            standings = [each[purpose] for each in (then, today) if purpose in each]
            if any(standing.is_refused and standing.state in _REFUSALS for standing in standings):
                found[purpose] = "denied"
            elif purpose in then and then[purpose].state == "granted":
                found[purpose] = "granted"
        return found

    def learn(self, entries: Sequence[ConsentEntry], now: int) -> None:
        """Remember what was just admitted, until the store can be asked for it."""
        if len(self._admitted) > ENTRIES_MAX:
            self._admitted = {}
        for entry in entries:
            self._admitted[entry.subject] = (now, (*self._recent(entry.subject, now), entry))

    def _recent(self, id: bytes, now: int) -> tuple[ConsentEntry, ...]:
        at, entries = self._admitted.get(id, (now, ()))
        return entries if abs(now - at) <= 2 * KEPT else ()

    def _said(self, id: bytes, now: int) -> tuple[Sequence[ConsentEntry], frozenset[bytes]]:
        """What the store has of a person, and which of its identifiers are user ids."""
        cached = self._stored.get(id)
        if cached is not None and 0 <= now - cached[0] <= KEPT:
            return cached[1:]
        with self._snapshot() as facts:
            person = facts.people([id]).get(id, id)
            leaves = [id, *facts.leaves_of([person]).get(person, ())]
            entries = facts.consents(leaves, PURPOSES)
            known = facts.identifiers(leaves) if entries else {}
        users = frozenset(leaf for leaf, found in known.items() if found.type == "user")
        if len(self._stored) > ENTRIES_MAX:
            self._stored = {}
        self._stored[id] = (now, entries, users)
        return entries, users
