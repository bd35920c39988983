"""The client: what an app calls. Nothing here waits for the network, except ``flush`` and ``close``."""

import weakref
from collections.abc import Mapping
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from assay import lifecycle, scopes, settings
from assay.buffer import KEPT, Buffer, Put, Stats, WhenFull
from assay.calls import EVENT_BYTES_MAX, Call, Stamps, completed, encoded, mapping_of
from assay.contract.errors import AssayError
from assay.course import Breaker
from assay.delivery import (
    BATCH_BYTES_MAX,
    BatchLimits,
    DropReason,
    SpoolSync,
)
from assay.encoding import plain_text, sanitised
from assay.errors import EventsDropped, EventTooLarge, MalformedCall
from assay.following import PlanFollower, PlanSource
from assay.inspection import BeforeSend, Inspection, OnInvalid, Refusal
from assay.notices import Notices, OnDrop, OnError
from assay.scopes import Id, Json
from assay.sender import Pace, Sender
from assay.transport import HttpTransport, Transport, endpoint

if TYPE_CHECKING:
    from pathlib import Path

    from assay.contract.plan import Plan
    from assay.scrubbing import ScrubRule


class Client:
    """
    Records events and sends them to a collector, in the background.

    The six calls have Segment's argument names and meaning. Each encodes its event once, puts it in a queue and returns
    the event's message id, or None if the event was dropped. They raise nothing, with one exception: in the mode
    ``on_invalid="raise"``, meant for development, what is wrong with the event itself.

    Args:
        url: The collector's address, such as ``https://collect.example``.
        write_key: The source's key. It is sent as Basic authorisation only, never logged and never shown.
        plan: A tracking plan, or its folder; events are checked against it before they are queued.
        follow_plan_seconds: How often the collector is asked for its plan, which takes the place of ``plan`` when it is
            another; the first time when the first event is tracked. No call waits for that, and what is no plan changes
            nothing. By default never.
        on_invalid: What to do with an event that the plan refuses or lacks. ``warn``: log a line and send it, the
            collector decides. ``quarantine``: likewise, with a mark by which the collector keeps it in quarantine.
            ``drop``: do not send it. ``raise``: raise PlanViolation and drop it. ``off``: do not check.
        before_send: A function that gets each event as it would be sent, and returns it, edited or not, or None to drop
            it. An event for which it raises is dropped, and the call raises nothing.
        scrub: What is sent in place of personal data, by the class that the plan gives it, such as
            ``{"email": "hash", "name": "drop", "ip": a_function}``. See assay.scrubbing.
        scrub_key: A secret of the app's for ``hash``, at least 16 bytes.
        queue_events_max: How many events wait at most.
        when_full: ``drop_newest``, ``drop_oldest``, or ``block``: the call waits for room, at most ``block_seconds``.
        batch_events_max: Events in one request.
        batch_bytes_max: Bytes in one request, before compression.
        linger_seconds: How long the first event of a batch waits for others.
        gzip: Whether to compress requests.
        timeout_seconds: For one request.
        retry_seconds_max: How long one batch is retried; then it is dropped as ``expired``.
        breaker_failures: After so many failed requests in a row, only single events are sent, as probes ...
        breaker_seconds: ... at first after so long, then at growing intervals up to a minute, until one is answered.
        spool: A folder in which events outlast the process; see assay.spool. By default they wait in memory.
        spool_bytes_max: How much may wait there; then ``when_full`` holds.
        spool_seconds_max: How long it may wait there, in place of ``retry_seconds_max``; a week by default.
        spool_sync: ``normal``: what a call returned for survives the death of the process. ``full``: it survives a
            power cut too, for which each call waits for the disk.
        exit_seconds: How long the end of the process may be held up to send what is pending.
        handle_sigterm: Whether SIGTERM too sends what is pending first. Needs the first client to be made in the main
            thread; a handler of the app's own is called after ours.
        on_drop: Called with a reason and a count when events are dropped; on any thread, so be quick.
        on_error: Called with an AssayError for everything that goes wrong; likewise.
        trust_env: Whether httpx reads proxies and certificates from the environment.
        transport: In place of HTTP; ``assay.testing.CapturingTransport`` in tests.

    Raises:
        InvalidSetting: A setting that cannot work.
        PlanError: The plan's folder holds no plan.
    """

    def __init__(
        self,
        url: str,
        write_key: str,
        *,
        plan: "Plan | Path | str | None" = None,
        follow_plan_seconds: float | None = None,
        on_invalid: OnInvalid = "warn",
        before_send: BeforeSend | None = None,
        scrub: "Mapping[str, ScrubRule] | None" = None,
        scrub_key: bytes | str | None = None,
        queue_events_max: int = 10_000,
        when_full: WhenFull = "drop_newest",
        block_seconds: float = 1.0,
        batch_events_max: int = 500,
        batch_bytes_max: int = BATCH_BYTES_MAX,
        linger_seconds: float = 0.5,
        gzip: bool = True,
        timeout_seconds: float = 10.0,
        retry_seconds_max: float = 12 * 3600.0,
        breaker_failures: int = 5,
        breaker_seconds: float = 15.0,
        spool: "Path | str | None" = None,
        spool_bytes_max: int = 256_000_000,
        spool_seconds_max: float = 7 * 86_400.0,
        spool_sync: SpoolSync = "normal",
        exit_seconds: float = 5.0,
        handle_sigterm: bool = True,
        on_drop: OnDrop | None = None,
        on_error: OnError | None = None,
        trust_env: bool = True,
        transport: Transport | None = None,
    ) -> None:
        settings.check(locals())
        endpoint(url)
        self._url = url
        self._transport = transport or HttpTransport(url, write_key, gzip=gzip, trust_env=trust_env)
        self._on_invalid: OnInvalid = on_invalid
        read_plan = settings.loaded_plan(plan) if on_invalid != "off" or scrub else None
        self._plan = None if on_invalid == "off" else read_plan
        self._before_send = before_send
        self._scrub = scrub, scrub_key
        self._scrubber = settings.scrubber(read_plan, *self._scrub)
        self._plan_revision = read_plan.revision if read_plan is not None else None
        self._follow_seconds = follow_plan_seconds if on_invalid != "off" or scrub else None
        self._callbacks = on_drop, on_error
        self._queue_policy = queue_events_max, when_full, block_seconds
        self._pace = Pace(
            limits=BatchLimits(batch_events_max, batch_bytes_max),
            linger_seconds=linger_seconds,
            timeout_seconds=timeout_seconds,
            retry_seconds_max=retry_seconds_max if spool is None else float("inf"),
            exit_seconds=exit_seconds,
            breaker=Breaker(breaker_failures, breaker_seconds),
        )
        self._make_spool = settings.spool_maker(
            write_key, spool, spool_bytes_max, spool_seconds_max, spool_sync, memory_events_max=queue_events_max
        )
        self._open()
        if self._spool is not None and self._spool.has_others():
            self._sender.start()
        lifecycle.watch(self, handle_sigterm=handle_sigterm)

    # --- the six calls ---

    def track(
        self,
        user_id: Id | None = None,
        event: str | None = None,
        properties: Json | None = None,
        context: Json | None = None,
        timestamp: datetime | str | None = None,
        anonymous_id: Id | None = None,
        integrations: Json | None = None,
        message_id: str | None = None,
        dedupe_key: str | None = None,
    ) -> str | None:
        """
        Record that someone did something.

        Args:
            user_id: Who, as the app knows them. One of user_id and anonymous_id is needed.
            event: What they did, such as ``"Task Assigned"``.
            properties: Facts about it.
            context: Facts about the surroundings; ``schemaVersion`` names the plan's version of the event.
            timestamp: When; now by default. A datetime without a zone is read as UTC.
            anonymous_id: Who, before the app knows them.
            integrations: Segment's switches for destinations, passed on.
            message_id: The event's identity; a UUID of version 7 by default. Two events with one id are the same event.
            dedupe_key: What the event is about, such as ``invoice:42:paid``; its message id follows from it (see
                ``assay.contract.ids.dedupe_id``), so it is stored once however often and wherever it is tracked.

        Returns:
            The message id, or None if the event was dropped.
        """
        if dedupe_key is not None:
            message_id = _told_apart(message_id, dedupe_key)
        call = Call(
            "track", message_id, timestamp, user_id, anonymous_id, event, context=context, integrations=integrations
        )
        body = call.properties = properties if type(properties) is dict else _object(properties)
        return self._record(call, body)

    def identify(
        self,
        user_id: Id | None = None,
        traits: Json | None = None,
        context: Json | None = None,
        timestamp: datetime | str | None = None,
        anonymous_id: Id | None = None,
        integrations: Json | None = None,
        message_id: str | None = None,
        dedupe_key: str | None = None,
    ) -> str | None:
        """Record who someone is, and that user_id and anonymous_id are the same person. See ``track``."""
        if dedupe_key is not None:
            message_id = _told_apart(message_id, dedupe_key)
        call = Call(
            "identify", message_id, timestamp, user_id, anonymous_id, context=context, integrations=integrations
        )
        call.traits = _object(traits)
        return self._record(call, call.traits)

    def group(
        self,
        user_id: Id | None = None,
        group_id: Id | None = None,
        traits: Json | None = None,
        context: Json | None = None,
        timestamp: datetime | str | None = None,
        anonymous_id: Id | None = None,
        integrations: Json | None = None,
        message_id: str | None = None,
        dedupe_key: str | None = None,
    ) -> str | None:
        """Record that someone belongs to an account, and the account's traits. See ``track``."""
        if dedupe_key is not None:
            message_id = _told_apart(message_id, dedupe_key)
        call = Call("group", message_id, timestamp, user_id, anonymous_id, context=context, integrations=integrations)
        call.groupId = group_id
        call.traits = _object(traits)
        return self._record(call, call.traits)

    def page(
        self,
        user_id: Id | None = None,
        category: str | None = None,
        name: str | None = None,
        properties: Json | None = None,
        context: Json | None = None,
        timestamp: datetime | str | None = None,
        anonymous_id: Id | None = None,
        integrations: Json | None = None,
        message_id: str | None = None,
        dedupe_key: str | None = None,
    ) -> str | None:
        """Record that someone saw a page. See ``track``."""
        if dedupe_key is not None:
            message_id = _told_apart(message_id, dedupe_key)
        call = Call("page", message_id, timestamp, user_id, anonymous_id, context=context, integrations=integrations)
        call.category, call.name = category, name
        call.properties = _object(properties)
        return self._record(call, call.properties)

    def screen(
        self,
        user_id: Id | None = None,
        category: str | None = None,
        name: str | None = None,
        properties: Json | None = None,
        context: Json | None = None,
        timestamp: datetime | str | None = None,
        anonymous_id: Id | None = None,
        integrations: Json | None = None,
        message_id: str | None = None,
        dedupe_key: str | None = None,
    ) -> str | None:
        """Record that someone saw a screen of an app. See ``track``."""
        if dedupe_key is not None:
            message_id = _told_apart(message_id, dedupe_key)
        call = Call("screen", message_id, timestamp, user_id, anonymous_id, context=context, integrations=integrations)
        call.category, call.name = category, name
        call.properties = _object(properties)
        return self._record(call, call.properties)

    def alias(
        self,
        previous_id: Id | None = None,
        user_id: Id | None = None,
        context: Json | None = None,
        timestamp: datetime | str | None = None,
        integrations: Json | None = None,
        message_id: str | None = None,
        dedupe_key: str | None = None,
    ) -> str | None:
        """Record that previous_id and user_id are the same person. See ``track``."""
        if dedupe_key is not None:
            message_id = _told_apart(message_id, dedupe_key)
        call = Call("alias", message_id, timestamp, user_id, context=context, integrations=integrations)
        call.previousId = previous_id
        return self._record(call, {})

    def reset(self) -> None:
        """Forget who acts, as at a sign-out. See ``assay.reset``."""
        scopes.reset()

    # --- delivery ---

    def flush(self, timeout: float = 10.0) -> int:
        """
        Wait until the events tracked so far have been sent, or for ``timeout`` seconds.

        Returns:
            How many of them are still pending; 0: all have come to their end (see ``stats`` for which).
        """
        return self._buffer.flush(timeout)

    def close(self, timeout: float | None = None) -> int:
        """
        Take no more events, send what is pending for ``timeout`` seconds (``exit_seconds`` by default), stop.

        What cannot be sent in that time is dropped as ``deadline``. To close twice does nothing more.

        Returns:
            How many events were not delivered in time.
        """
        return self._sender.close(self._pace.exit_seconds if timeout is None else timeout)

    async def aflush(self, timeout: float = 10.0) -> int:
        """``flush`` for coroutines: the event loop goes on meanwhile."""
        import asyncio  # late: an app without coroutines need not wait for it

        return await asyncio.to_thread(self.flush, timeout)

    async def aclose(self, timeout: float | None = None) -> int:
        """``close`` for coroutines: the event loop goes on meanwhile."""
        import asyncio

        return await asyncio.to_thread(self.close, timeout)

    def stats(self) -> Stats:
        """What became of every event so far: ``tracked == delivered + dropped by reason + pending``."""
        return self._buffer.stats()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<assay.Client url={self._url!r} pending={self.stats().pending}>"

    # --- the way of an event ---

    def _record(self, call: Call, body: dict[Any, Any] | None) -> str | None:
        scope = scopes.active.get()
        if scope is not None:
            scopes.fill(call, scope)
        elif call.context is not None:
            call.context = mapping_of(call.context)
        problem = completed(call, self._stamps)
        if problem is not None or body is None:
            problem = problem or "its properties or traits must be a mapping"
            self._refuse(DropReason.MALFORMED, MalformedCall(call.type, problem))
            return None
        event, written = encoded(call, body)
        if self._inspection is not None and len(event) <= EVENT_BYTES_MAX:
            inspected = self._inspection.inspect(call, event, written)
            if type(inspected) is Refusal:
                self._refuse(inspected.reason, inspected.error)
                return None
            event = inspected  # type: ignore[assignment]  # narrowed above, by the quicker test
        if len(event) > EVENT_BYTES_MAX:
            error = EventTooLarge(call.type, call.event or call.name, len(event), EVENT_BYTES_MAX)
            self._refuse(DropReason.TOO_LARGE, error)
            return None
        if not self._sender.started:
            self._sender.start()
        result = self._buffer.put(event)
        if result is not KEPT:
            self._tell_of_loss(result)
            if result is not Put.MADE_ROOM:
                return None
        message_id: str = call.messageId
        return message_id

    def _refuse(self, reason: DropReason, error: AssayError) -> None:
        """Count and tell of an event that is not queued. Raises: the event's own fault, in the mode ``raise``."""
        if self._follow_seconds is not None and not self._sender.started:
            self._sender.start()  # it may be the plan that is behind
        self._buffer.refuse(reason)
        self._notices.dropped(reason, 1, error, "" if type(error) is not EventsDropped else f"detail={error.detail!r}")
        if self._on_invalid == "raise" and type(error) is not EventsDropped:
            raise error

    def _tell_of_loss(self, result: Put) -> None:
        losses = {DropReason.CLOSED if result is Put.CLOSED else DropReason.QUEUE_FULL: 1}
        for reason, count in (self._buffer.untold() if result is Put.MADE_ROOM else losses).items():
            self._notices.dropped(reason, count, EventsDropped(reason, count))

    # --- the process ---

    def _open(self) -> None:
        self._notices = Notices(*self._callbacks)
        self._stamps = Stamps()
        self._inspection = self._inspections()
        self._spool = self._make_spool() if self._make_spool else None
        self._buffer = Buffer(*self._queue_policy, queue=self._spool)
        self._sender = Sender(
            self._buffer, self._transport, self._notices, self._pace, self._spool, self._new_follower()
        )

    def _inspections(self) -> Inspection | None:
        """What each event goes through; None: nothing was asked for."""
        if self._plan is None and self._before_send is None and self._scrubber is None:
            return None
        return Inspection(
            plan=self._plan,
            on_invalid=self._on_invalid,
            before_send=self._before_send,
            scrubber=self._scrubber,
            notices=self._notices,
            stamps=self._stamps,
        )

    def _new_follower(self) -> PlanFollower | None:
        if self._follow_seconds is None or not isinstance(self._transport, PlanSource):
            return None
        # The sender outlives a client that nobody keeps, and does not keep it either.
        mine = weakref.ref(self)

        def use(plan: "Plan") -> None:
            client = mine()
            if client is not None:
                client._use(plan)

        return PlanFollower(self._follow_seconds, self._plan_revision, use, self._transport, self._notices)

    def _use(self, plan: "Plan") -> None:
        """Check and scrub by another plan from now on."""
        scrubber = settings.scrubber(plan, *self._scrub)
        self._plan = None if self._on_invalid == "off" else plan
        self._scrubber, self._plan_revision = scrubber, plan.revision
        self._inspection = self._inspections()

    def _reopen_in_child(self) -> None:
        """After a fork: the queue, its counters, the thread and the connection are the parent's; begin anew."""
        was_closed = self._buffer.closed
        self._transport.forget()
        if self._spool is not None:
            self._spool.forget()
        self._open()
        if was_closed:
            self.close()


def _told_apart(message_id: str | None, dedupe_key: str) -> str:
    """The message id of an event that is told apart by a key; an id of its own goes before."""
    if message_id is not None:
        return message_id
    from assay.contract.ids import dedupe_id  # late: few events have a key

    return dedupe_id(plain_text(str(sanitised(dedupe_key))))


def _object(value: object) -> dict[Any, Any] | None:
    """Properties or traits as a dict; None: they are none."""
    if value is None:
        return {}
    plain = value if type(value) is dict else sanitised(value)
    return plain if isinstance(plain, dict) else None
