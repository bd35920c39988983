"""Whether a message may leave: asked when it is about to, because consent may have changed since it was written."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from assay_collector.identity.consent import forbids
from assay_collector.store import Facts, OutboxMessage

# What a person has a right to be told of cannot be forbidden by that person's consent.
_ALWAYS = "privacy."


class Permission:
    """Asks the consent log whether an endpoint may hear of a person."""

    def __init__(self, snapshot: Callable[[], AbstractContextManager[Facts]]) -> None:
        self._snapshot = snapshot

    def allows(self, message: OutboxMessage, purpose: str, now: int) -> bool:
        """
        Whether the person that a message is about allows the purpose; whoever is one person with it speaks too.

        A message about an account names none of its members, and those who refuse to be scored are not in its figures,
        so it may always leave.

        Raises:
            StoreUnavailable: Nobody can say; then nothing may leave.
        """
        if message.type.startswith(_ALWAYS):
            return True
        with self._snapshot() as facts:
            person = facts.people([message.entity]).get(message.entity, message.entity)
            leaves = [message.entity, person, *facts.leaves_of([person]).get(person, ())]
            words = facts.consents(leaves, [purpose])
            if not words:
                return True
            users = frozenset(id for id, known in facts.identifiers(leaves).items() if known.type == "user")
        return not forbids(words, users, now)
