"""
Keeps what decides in step with the register of definitions, while events arrive.

A definition that comes to run goes three steps. Its new signals are *begun*: from one position of the log on every
event brings their marks. What lies before that is *filled*, a few milliseconds at a time. Only then does it *decide*,
in place of the version before, and whoever it may concern is put on the agenda. Each step is on record in the store
before the next, so a collector that was killed goes on with the one it was at.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Protocol

from assay_collector.pql.definition import Catalogue, Signal
from assay_collector.pql.matching import SignalIndex
from assay_collector.qualify.refill import (
    Progress,
    begin,
    decide_anew,
    decide_anew_in_portions,
    fill_next,
    forget_unused,
    marks_of,
)
from assay_collector.qualify.versions import Running, running
from assay_collector.qualify.worker import Qualifier
from assay_collector.store import Store

log = logging.getLogger("assay_collector.qualify")

# So many stretches of the log are filled between two rounds of decisions: some tens of milliseconds.
CHUNKS_A_STEP = 20
# So many entities are put on the agenda at a time, and only while no more than that are due: who has something new
# must not wait behind everybody whom a new definition concerns.
TOUCHES_A_STEP = 200


class Ingest(Protocol):
    """Whoever takes events in."""

    def look_for(self, signals: SignalIndex, begin: Callable[[], None]) -> None:
        """Look for other signals from now on; `begin` is called while no event is on its way."""


class Keeper:
    """Brings into force what the register says."""

    def __init__(
        self,
        store: Store,
        ingest: Ingest,
        qualifier: Qualifier,
        *,
        show: Callable[[Catalogue], None],
        touches_a_step: int = TOUCHES_A_STEP,
    ) -> None:
        """
        Args:
            show: Told which definitions decide, for whoever explains verdicts.
            touches_a_step: How many entities are put on the agenda at a time.
        """
        self._touches_a_step = touches_a_step
        self._store = store
        self._ingest = ingest
        self._qualifier = qualifier
        self._show = show
        self._revision = -1
        self._wanted = Running(Catalogue(), Catalogue())
        self._touching: Iterator[int] | None = None  # who is to be decided anew
        self._is_settled = False
        # Everything that events are looked at for; what is no longer wanted is kept up until the next start.
        self._signals: dict[int, Signal] = {}
        self._index = SignalIndex(())

    def start(self, now: int, progress: Progress = lambda _: None) -> None:
        """Bring everything into force at once; to be called before the first event is taken."""
        forget_unused(self._store, running(self._store.register, now).all.signals)
        self._look(now)
        while fill_next(self._store, self._signals.values(), progress):
            pass
        self._come_into_force(now)
        decide_anew(self._store, self._wanted.all, now)
        self._settle()

    def step(self, now: int) -> bool:
        """Do a little of what is to be done. False: everything in the register is in force."""
        if self._store.register.revision() != self._revision or now >= self._wanted.until:
            self._look(now)
        if self._is_settled:
            return False
        if self._touching is None and not self._fill(now):
            return True
        return self._touch_some(now)

    def _fill(self, now: int) -> bool:
        """Fill a little. True: all is filled, and the definitions have come into force."""
        for _ in range(CHUNKS_A_STEP):
            with self._store.turn.background():
                pass  # others go first
            if not fill_next(self._store, self._wanted.all.signals):
                self._come_into_force(now)
                return True
        return False

    def _touch_some(self, now: int) -> bool:
        """Have a few more be decided anew. False: everybody is on the agenda."""
        assert self._touching is not None
        due, _ = self._store.agenda.backlog(now)
        if due >= self._touches_a_step:
            return True
        try:
            has_more = next(self._touching, None) is not None
        except Exception:
            # What raised does not go on; the next step begins with everybody again.
            self._touching = None
            raise
        if not has_more:
            self._settle()
        return has_more

    def release(self, event_ids: Sequence[bytes]) -> None:
        """Have events count that waited for a grant, for every signal that is tallied or being filled."""
        self._store.events.release(event_ids, partial(marks_of, index=self._index))

    def _look(self, now: int) -> None:
        revision = self._store.register.revision()
        wanted = running(self._store.register, now)
        self._begin(wanted.all.signals)
        self._revision, self._wanted = revision, wanted
        self._touching, self._is_settled = None, False

    def _begin(self, signals: Iterable[Signal]) -> None:
        new = {signal.id: signal for signal in signals if signal.id not in self._signals}
        if not new:
            return
        known = {**self._signals, **new}

        def begin_new() -> None:
            begin(self._store, new.values())

        index = SignalIndex(known.values())
        self._ingest.look_for(index, begin_new)
        self._signals, self._index = known, index

    def _come_into_force(self, now: int) -> None:
        """Decide by what is wanted; what is otherwise than before does so as of now."""
        before = self._store.tallies.definitions()
        live_at = {
            found.id: known.live_at if (known := before.get(found.id)) and known.hash == found.hash else now
            for found in self._wanted.all.definitions
        }
        self._qualifier.use(self._wanted.all, live_at)
        self._show(self._wanted.active)
        self._touching = decide_anew_in_portions(self._store, self._wanted.all, now, self._touches_a_step)
        log.info("assay.definitions_in_force", extra={"revision": self._revision, "definitions": sorted(live_at)})

    def _settle(self) -> None:
        self._touching = None
        self._is_settled = True
