"""What the last decisions about whoever is busy were found to bear. Kept in memory: to lose it costs time only."""

from collections import OrderedDict
from collections.abc import Mapping

from assay_collector.pql.definition import EntityKind
from assay_collector.pql.patience import Patience

SUBJECTS_MAX = 20_000

Subject = tuple[EntityKind, bytes]


class Memory:
    """How much each definition, by its id, bears of each subject; whoever was quiet the longest is forgotten."""

    def __init__(self) -> None:
        self._known: OrderedDict[Subject, Mapping[str, Patience]] = OrderedDict()

    def recall(self, subject: Subject) -> Mapping[str, Patience] | None:
        """
        What is known of a subject; it has to be said anew, or it is forgotten.

        Returns:
            None: it was not decided lately.
        """
        return self._known.pop(subject, None)

    def keep(self, subject: Subject, patience: Mapping[str, Patience]) -> None:
        """Keep what was found of a subject."""
        self._known[subject] = patience
        if len(self._known) > SUBJECTS_MAX:
            self._known.popitem(last=False)
