"""Where persons' requests are entered and carried out; the command line and the API both come here."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import msgspec

from assay.contract.errors import AssayError
from assay.contract.times import DAY, format_instant
from assay_collector.identity.identifiers import TYPES, IdentifierType, Identify, hash_email
from assay_collector.privacy.certificates import certificate, verify
from assay_collector.privacy.notices import notices
from assay_collector.store import Expand, Facts, PrivacyRequest, Redaction, RequestKind, Store

# So many rows are removed in one transaction: a few milliseconds' work.
ERASE_ROWS = 200

_PERSONAL: tuple[IdentifierType, ...] = tuple(type for type in get_args(IdentifierType) if type != "account")

Progress = Callable[[int], None]


@dataclass(eq=False)
class UnknownSubject(AssayError):
    """Nobody is known by this id."""

    def __str__(self) -> str:
        return "nobody is known by this id: nothing is held, except perhaps in what other people's events say"


@dataclass(eq=False)
class AlreadyErased(AssayError):
    """Whoever was known by this id was erased."""

    request: PrivacyRequest | None

    def __str__(self) -> str:
        when = f" by request {self.request.request_id.hex()}" if self.request else ""
        return f"whoever was known by this id was erased{when}; nothing with this id is taken any more"


@dataclass(eq=False)
class AmbiguousSubject(AssayError):
    """Several people are known by this id."""

    choices: tuple[str, ...]  # namespace/type of each

    def __str__(self) -> str:
        return (
            f"{len(self.choices)} people are known by this id ({', '.join(self.choices)}); say which namespace or type"
        )


@dataclass(eq=False)
class UnknownRequest(AssayError):
    """There is no such request, or none of which this could be asked."""

    def __str__(self) -> str:
        return "there is no such request, or it is over; `assay privacy requests` lists all"


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """A person, as somebody names it."""

    value: str  # a userId, an anonymousId, ..., or our own id in hexadecimal
    namespace: str | None = None  # None: whichever knows it
    type: str | None = None  # None: any type of a person's


class Office:
    """Carries out what persons may ask for, over any store."""

    def __init__(
        self,
        store: Store,
        *,
        identify: Identify,
        expand: Expand,
        redaction: Redaction,
        certificate_key: bytes,
        endpoints: Sequence[str] = (),
        due_days: int = 30,
        keeps_suppressed_events: bool = False,
        erase_rows: int = ERASE_ROWS,
        new_id: Callable[[], bytes],
        clock: Callable[[], int],
    ) -> None:
        """
        Args:
            expand: From some of a person's ids to all; called inside the transaction that needs them.
            redaction: How others' records lose the person's values.
            endpoints: The webhooks that are configured; notices to others are given up.
            due_days: How long a request may take.
            erase_rows: How many rows are removed in one transaction.
            new_id: Draws 16 bytes.
        """
        self._store = store
        self._rights = store.rights
        self._identify = identify
        self._expand = expand
        self._redaction = redaction
        self._key = certificate_key
        self._endpoints = tuple(endpoints)
        self._due = due_days * DAY
        self._keeps = keeps_suppressed_events
        self._rows = erase_rows
        self._new_id = new_id
        self._clock = clock

    # --- entering ---

    def enter(self, kind: RequestKind, subject: Subject, *, by: str = "", reason: str = "") -> PrivacyRequest:
        """
        Enter a request. An erasure or suppression is in force when this returns; an erasure's rows are still there,
        see `carry_out`.

        Args:
            by: Who enters it.

        Raises:
            UnknownSubject, AmbiguousSubject, AlreadyErased: It is about nobody in particular.
            StoreUnavailable: Nothing was entered.
        """
        now = self._clock()
        ids = self.find(subject)
        names = self._names(ids)
        request = PrivacyRequest(
            request_id=self._new_id(),
            kind=kind,
            state="requested" if kind == "export" else "suppressed",
            subjects=ids,
            requested_at=now,
            due_at=now + self._due,
            by=_without(by, names),
            reason=_without(reason, names),
            keeps_events=self._keeps,
        )
        return self._rights.open(
            request,
            expand=self._expand,
            notices=lambda told: notices(request.request_id, told, now),
        )

    def find(self, subject: Subject) -> tuple[bytes, ...]:
        """
        All identity ids of a person.

        Raises:
            UnknownSubject, AmbiguousSubject, AlreadyErased: There is no one person of this name.
        """
        candidates = self._candidates(subject)
        # Of whom an erasure is under way rows are still there.
        erased = self._rights.erased(candidates)
        with self._store.snapshot() as facts:
            found = facts.identifiers([id for id in candidates if id not in erased])
            known = {id: each for id, each in found.items() if each.type != "account"}
            clusters = {frozenset(self._expand(facts, [id])) for id in known}
        if not clusters:
            raise self._nobody(erased)
        # A name that is known of somebody else's words alone is part of whoever they spoke of.
        people = [ids for ids in clusters if not any(ids < others for others in clusters)]
        if len(people) > 1:
            choices = sorted(f"{each.namespace}/{each.type}" for each in known.values())
            raise AmbiguousSubject(tuple(choices))
        return tuple(sorted(people[0]))

    def _candidates(self, subject: Subject) -> list[bytes]:
        namespaces = {source.namespace for source in self._store.keyring.sources()} or {"default"}
        found = [
            self._identify(namespace, type, value)
            for namespace in sorted(namespaces if subject.namespace is None else {subject.namespace})
            for type in _PERSONAL
            if subject.type in (None, type)
            for value in _values(type, subject.value)
        ]
        if len(subject.value) == 32 and all(sign in "0123456789abcdef" for sign in subject.value):
            found.append(bytes.fromhex(subject.value))
        return found

    def _nobody(self, erased: frozenset[bytes]) -> AssayError:
        if not erased:
            return UnknownSubject()
        requests = (each for each in self._rights.requests() if each.kind == "erase")
        return AlreadyErased(next((each for each in requests if erased.intersection(each.subjects)), None))

    def _names(self, ids: Sequence[bytes]) -> list[str]:
        with self._store.snapshot() as facts:
            return [known.value for known in facts.identifiers(ids).values()]

    # --- carrying out ---

    def carry_out(self, request_id: bytes, pause: Callable[[], None], progress: Progress = lambda _: None) -> None:
        """
        Remove the rows of an erasure. Broken off anywhere, calling it again goes on.

        Args:
            pause: Called between portions, so that others get their turn.
            progress: Told how many more rows are gone.
        """
        before = 0
        while self._rights.erase_some(request_id, self._rows, self._redaction, self._clock()):
            pause()
            request = self._rights.request(request_id)
            gone = sum(request.counts.values()) if request else before
            progress(gone - before)
            before = gone

    def settle(self) -> int:
        """Finish the erasures that nothing is left to be done about, and certify them; returns how many."""
        settled = self._rights.settle(self._endpoints)
        for request, notices_ in settled:
            now = self._clock()
            document = certificate(request, notices_, key=self._key, now=now)
            self._rights.finish(request.request_id, request.counts, document, now)
        return len(settled)

    def erasures(self) -> Sequence[bytes]:
        """The erasures whose rows are not all gone."""
        return [request.request_id for request in self._rights.erasures()]

    def recall(self) -> int:
        """
        Erase again whoever an older copy of the database brought back; to be called before the first event is taken.

        Nobody is told again. Returns how many erasures it had forgotten.
        """
        forgotten = self._rights.forgotten()
        for request_id, ids in forgotten:
            now = self._clock()
            request = PrivacyRequest(
                request_id=request_id if self._rights.request(request_id) is None else self._new_id(),
                kind="erase",
                state="suppressed",
                subjects=tuple(ids),
                requested_at=now,
                due_at=now + self._due,
                reason="erased before; the database is an older copy",
            )
            entered = self._rights.open(request, expand=_as_they_are, notices=lambda _: ())
            self.carry_out(entered.request_id, pause=lambda: None)
        if forgotten:
            self.settle()
        return len(forgotten)

    def lift(self, request_id: bytes) -> None:
        """
        End a suppression: from now on the person is processed again.

        Raises:
            UnknownRequest: There is none in force by this id.
        """
        if not self._rights.lift(request_id, self._clock()):
            raise UnknownRequest

    # --- telling ---

    def export(self, request: PrivacyRequest) -> Iterator[bytes]:
        """
        Everything held about a person, as lines of JSON: the first says who, the last how much. When the last is
        taken, the request is done.
        """
        counts: dict[str, int] = {}
        yield _line({"export": 1, "request": request.request_id.hex(), "asOf": format_instant(self._clock())})
        for table, row in self._rights.export(request.subjects):
            counts[table] = counts.get(table, 0) + 1
            yield _line({"table": table, "row": _with_times(row)})
        if request.kind == "export" and request.state == "requested":
            self._rights.finish(request.request_id, counts, None, self._clock())
        yield _line({"end": True, "counts": counts})

    def held(self, ids: Sequence[bytes]) -> Mapping[str, int]:
        """How many rows each table holds about a person."""
        return self._rights.held(ids)

    def requests(self) -> Sequence[PrivacyRequest]:
        """All, newest first."""
        return self._rights.requests()

    def overdue(self) -> tuple[int, int]:
        """How many requests are under way, and how many of those are past their date."""
        return self._rights.overdue(self._clock())

    def request(self, request_id: bytes) -> PrivacyRequest:
        """
        One.

        Raises:
            UnknownRequest: There is none by this id.
        """
        found = self._rights.request(request_id)
        if found is None:
            raise UnknownRequest
        return found

    def is_genuine(self, document: Mapping[str, Any]) -> bool:
        """Whether a certificate was made by this store, and not changed since."""
        return verify(document, self._key)

    def describe(self, request: PrivacyRequest) -> dict[str, Any]:
        """A request as JSON; the API and the command line say the same."""
        is_open = request.state in ("requested", "erasing", "notifying") or (
            request.kind == "erase" and request.state == "suppressed"
        )
        return {
            "id": request.request_id.hex(),
            "kind": request.kind,
            "state": request.state,
            "subjects": [id.hex() for id in request.subjects],
            "requestedAt": format_instant(request.requested_at),
            "dueAt": format_instant(request.due_at),
            "overdue": is_open and request.due_at < self._clock(),
            "by": request.by,
            "reason": request.reason,
            "finishedAt": None if request.finished_at is None else format_instant(request.finished_at),
            "counts": dict(request.counts),
            "certificate": None if request.certificate is None else msgspec.json.decode(request.certificate),
        }


def _as_they_are(_: Facts, ids: Sequence[bytes]) -> Sequence[bytes]:
    # Who else was linked to the person in an older copy may be somebody else by now.
    return ids


def _values(type: IdentifierType, value: str) -> set[str]:
    """What a value may be kept as: of an address, only its hash is."""
    canonical = {TYPES[type].canonical(value)}
    return canonical | {hash_email(value)} if type == "email_hash" else canonical


def _without(text: str, names: Sequence[str]) -> str:
    """What an operator writes, without the identifiers of whom it is about."""
    for name in sorted(names, key=len, reverse=True):
        text = text.replace(name, "[subject]") if name else text
    return text


def _with_times(row: Mapping[str, Any]) -> dict[str, Any]:
    """Instants as people and programs read them."""
    return {name: format_instant(value) if _is_instant(name, value) else value for name, value in row.items()}


def _is_instant(name: str, value: Any) -> bool:
    return isinstance(value, int) and (
        name == "at" or name.endswith(("_at", "_from", "_to", "_until")) or name == "since"
    )


def _line(document: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode(document) + b"\n"
