"""Following the collector's plan: asked for now and then, in the background, and taken up when it is another."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import msgspec

from assay.contract.errors import AssayError
from assay.delivery import Answer
from assay.notices import Notices
from assay.transport import importing

if TYPE_CHECKING:
    from assay.contract.plan import Plan

FETCH_SECONDS_MAX = 2.0


class _Served(msgspec.Struct):
    documents: dict[str, msgspec.Raw]


@runtime_checkable
class PlanSource(Protocol):
    """A transport that can also fetch the collector's plan; ``send``'s promises hold for it too."""

    def plan(self, revision: str | None, *, timeout_seconds: float) -> Answer:
        """The plan's document; status 304 if it is still of this revision."""


class PlanFollower:
    """
    Keeps a client's plan up to the collector's. The last good plan stays until there is a better one.

    Everything happens on the sender's thread, between two batches; no call of the app's ever waits for it.
    """

    def __init__(
        self,
        seconds: float,
        revision: str | None,
        use: "Callable[[Plan], None]",
        source: PlanSource,
        notices: Notices,
    ) -> None:
        """
        Args:
            seconds: Between two looks.
            revision: Of the plan that the client has.
            use: Called with a new plan.
        """
        self._seconds = seconds
        self._revision = revision
        self._use = use
        self._source = source
        self._notices = notices
        self._look_at = 0.0

    def look(self, timeout_seconds: float) -> float:
        """Ask for the plan, if it is time. Returns: when it is time again, in monotonic seconds."""
        if time.monotonic() >= self._look_at:
            self._ask(min(FETCH_SECONDS_MAX, timeout_seconds))
            self._look_at = time.monotonic() + self._seconds
        return self._look_at

    def _ask(self, timeout_seconds: float) -> None:
        try:
            answer = self._source.plan(self._revision, timeout_seconds=timeout_seconds)
            if answer.status == 200:
                self._take_up(answer.body)
            elif answer.status != 304:
                self._notices.say(f"assay.plan_not_followed reason={answer.failure or answer.status}")
        except Exception as error:  # noqa: BLE001 - whatever stands in the answer, events must go on
            # The text of an error may quote a plan, and a plan is no secret; its class is enough all the same.
            self._notices.say(f"assay.plan_not_followed reason={type(error).__name__}")
            if isinstance(error, AssayError):
                self._notices.failed(error)

    def _take_up(self, document: bytes) -> None:
        with importing:
            from assay.contract.plan import Plan

        served = msgspec.json.decode(document, type=_Served)
        plan = Plan.from_documents({path: bytes(content) for path, content in served.documents.items()})
        if plan.revision != self._revision:
            self._use(plan)
            self._revision = plan.revision
