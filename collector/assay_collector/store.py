"""
The store port: what every store promises to the stages above it.

A store is a few small ports that share one database. An adapter keeps these promises for all of them:

- **All or nothing.** Each method that writes is one transaction. When it raises, nothing of it was written.
- **Durable on return.** What a method wrote survives ``kill -9`` of the process from the moment it returns, and, with
  the default settings, a power cut.
- **Once.** An event is the same event iff its ``event_id`` is the same. It, and everything derived from it, is written
  at most once, however often and however concurrently it is committed. The insert decides, in its own transaction.
- **Order-free.** Tallies are increments that commute, so the result of many commits does not depend on their order.
- **Failure has a name.** A store that cannot answer now (full, locked, read-only) raises ``StoreUnavailable``; the
  caller may try again and loses nothing by it. Any other exception is a bug.

Adapters are safe to use from many threads. Instants are microseconds since the Unix epoch, ids are 16 bytes.
One test suite (``tests/stores``) runs over every adapter.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import msgspec

from assay.contract.errors import AssayError
from assay_collector.identity.people import Claim, ClaimKey, Decision
from assay_collector.pql.definition import EntityKind as EntityKind
from assay_collector.pql.happened import ANYTHING, Happened
from assay_collector.pql.ledger import Transition as Transition
from assay_collector.pql.matching import Mark as Mark


@dataclass(eq=False)
class StoreUnavailable(AssayError):
    """The store cannot answer now; trying again later is right."""

    reason: str

    def __str__(self) -> str:
        return f"the store cannot answer now ({self.reason}); try again later"


# --- events ---


class EventRow(msgspec.Struct, frozen=True, gc=False):
    """One stored event. Who did it is a hash; raw identifiers live in the identifiers table alone."""

    event_id: bytes
    source: str
    message_id: str
    type: str
    name: str | None  # the track event, or the page's or screen's name
    at: int  # what everything is computed by
    original_at: int | None  # the client's own claim
    sent_at: int | None
    received_at: int
    clamped: bool  # `at` would have lain in the future
    leaf: bytes  # the raw identity on the event: its user id, else its anonymous id
    account: bytes | None  # the account named on the event
    properties: bytes  # JSON object; the traits, for identify and group
    context: bytes  # JSON object
    digest: bytes  # of what the client said; tells a duplicate from a conflict
    consent_id: bytes | None  # the consent snapshot it was decided under
    scored: bool  # whether consent allows it to be tallied
    violations: bytes | None  # JSON array, for events stored although they fail the plan
    schema_version: str | None


class Identifier(msgspec.Struct, frozen=True, gc=False):
    """The one place where a raw identifier is kept."""

    id: bytes
    namespace: str
    type: str  # user | anonymous | device | email_hash | external | account
    value: str


class Link(msgspec.Struct, frozen=True, gc=False):
    """Two identifiers seen together. `low` < `high`, so that a pair has one form."""

    low: bytes
    high: bytes
    kind: str  # observed | alias | admin | rename
    at: int
    event_id: bytes  # the message that is the evidence; of an admin's word, the id of the act
    authorised: bool = False  # an alias of a source that may merge users
    former: bytes = b""  # of an alias or rename, the end that is the previous name
    as_user: bytes | None = None  # of an alias, the previous name read as a user id

    @property
    def claim(self) -> Claim:
        """What it says, for `identity.people`."""
        return Claim(
            self.low, self.high, self.at, self.kind, bool(self.authorised), former=self.former, as_user=self.as_user
        )


class Membership(msgspec.Struct, frozen=True, gc=False):
    """
    What was said of a leaf and an account: that it belongs to it, or that it has left.

    Of each leaf and account the first, the last and the last leaving are kept, so that order does not show.
    """

    leaf: bytes
    account: bytes
    at: int  # of what is stored: since when
    event_id: bytes  # the first evidence
    role: str | None = None
    left_at: int | None = (
        None  # of a message: it says so; of what is stored: the end, exclusive; None: it still belongs
    )


class TraitChange(msgspec.Struct, frozen=True, gc=False):
    """A trait took a value. The last by (at, event_id) up to a moment is its value at that moment."""

    entity: bytes  # a leaf or an account
    key: str
    at: int
    event_id: bytes
    value: bytes  # JSON
    scored: bool = True  # whether consent allows verdicts to read it


class ConsentEntry(msgspec.Struct, frozen=True, gc=False):
    """One line of the consent log."""

    subject: bytes  # a leaf
    purpose: str
    state: str  # granted | denied | withdrawn | expired | unknown
    signal: str  # what it was read from: context.consent, gpc, ...
    at: int
    received_at: int
    event_id: bytes | None
    evidence: bytes  # JSON, the raw object
    legal_basis: str | None = None
    policy_version: str | None = None  # of the text that was agreed to
    expires_at: int | None = None  # when a grant ends by itself
    policy: str | None = None  # how its source read silence then: opt_in | opt_out | exempt
    source: str | None = None


class ConsentSnapshot(msgspec.Struct, frozen=True, gc=False):
    """The consent that an event was decided under; many events share one."""

    consent_id: bytes  # derived from the rest
    states: bytes  # JSON object: purpose -> state
    evidence: bytes  # JSON: what it was read from
    # JSON object: the signal of each state, the source's policy and actions, what followed, legal basis and policy
    # version.
    decision: bytes = b"{}"


class Waiting(msgspec.Struct, frozen=True, gc=False):
    """A stored event that is not scored for want of a grant."""

    leaf: bytes
    at: int
    event_id: bytes
    purposes: tuple[str, ...]  # each of which needs a grant of the leaf that covers `at`


class Admission(msgspec.Struct, frozen=True, gc=False):
    """An event that passed the door, with everything that follows from it. Written together, or not at all."""

    event: EventRow
    identifiers: tuple[Identifier, ...]
    links: tuple[Link, ...] = ()
    memberships: tuple[Membership, ...] = ()
    traits: tuple[TraitChange, ...] = ()
    consent: ConsentSnapshot | None = None
    consents: tuple[ConsentEntry, ...] = ()
    marks: tuple[Mark, ...] = ()
    touches: tuple["Touch", ...] = ()
    links_refused: tuple[str, ...] = ()  # why it makes no link of what it says; counted
    # Of its event nothing is stored but that it came: the person's consent, and what the source does then, forbid it.
    # What it says about consent is logged.
    dropped: bool = False
    # Not scored for want of a grant of these purposes. A grant in the log that covers its moment will do.
    awaits: tuple[str, ...] = ()
    traffic: str | None = None  # bot | internal


class Quarantined(msgspec.Struct, frozen=True, gc=False):
    """Something that was sent and not stored as an event, kept whole, with the reason."""

    quarantine_id: bytes
    source: str
    message_id: str | None
    received_at: int
    reason: str  # code, e.g. schema_violation
    pointer: str  # JSON pointer of the first violation, or ""
    detail: str  # for people; never holds personal data
    type: str | None
    name: str | None
    schema_version: str | None
    library: str | None
    library_version: str | None
    raw: bytes
    names: tuple[bytes, ...] = ()  # the identity ids that it names, as far as it can be read; not stored


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """Where a message went."""

    message_id: str | None
    status: Literal["stored", "duplicate", "conflict", "quarantined", "rejected", "refused"]
    code: str | None = None  # the reason, unless stored or duplicate
    detail: str | None = None
    traffic: str | None = None  # bot | internal; only of what was stored


@dataclass(frozen=True, kw_only=True)
class ReceiptLine:
    """One answer to "where did my event go?"."""

    source: str
    message_id: str
    status: Literal["stored", "conflict", "quarantined", "refused"]
    received_at: int
    at: int | None = None
    type: str | None = None
    name: str | None = None
    code: str | None = None
    detail: str | None = None
    pointer: str | None = None


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How many rows there are, as the operator sees them."""

    stored: int
    duplicates: int
    conflicts: int
    quarantined: Mapping[str, int]  # by reason
    refused: Mapping[str, int] = field(default_factory=dict)  # by reason; of these nothing was stored


# The last three: nothing was stored, because the person was erased, is not to be processed, or does not consent.
CommitStatus = Literal["stored", "duplicate", "conflict", "erased_subject", "suppressed_subject", "consent_denied"]


class EventLog(Protocol):
    """The events, the quarantine, and what is known of whoever sent them."""

    def commit(self, admissions: Sequence[Admission], quarantined: Sequence[Quarantined]) -> Sequence[CommitStatus]:
        """
        Store events with all that follows from them, and quarantine the rest, in one transaction.

        Concurrent calls share transactions (group commit). The same event twice in one call is stored once.

        Returns:
            One status an admission, in order. ``conflict``: the id was already taken by another payload; that payload
            is kept beside it and counted. ``erased_subject``, ``suppressed_subject``: counted, and nothing else. That
            is decided in the transaction, so whoever was erased before it began is in none of its rows.
        """

    def refusal(self, ids: Sequence[bytes]) -> str | None:
        """Why nothing that names these identities is kept (``erased_subject``, ``suppressed_subject``); None: it is."""

    def release(self, event_ids: Sequence[bytes], marks_of: Callable[[EventRow], Iterable[Mark]]) -> int:
        """
        Have events that waited for a grant count from now on, with their marks and traits; one transaction.

        Args:
            marks_of: What an event adds to the tallies of every signal in use.

        Returns:
            How many did not count before; doing it again changes nothing.
        """

    def receipts(self, message_id: str) -> Sequence[ReceiptLine]:
        """Every place where a message with this id went, in any source; newest first. Empty: never seen."""

    def counts(self) -> Counts:
        """Totals over the whole store."""

    def quarantine(self, *, reason: str | None, limit: int, before: bytes | None) -> Sequence[Quarantined]:
        """Quarantined messages, newest first. `before` pages: the last ``quarantine_id`` of the page before."""

    def scan(self, after: int = 0) -> Iterator[tuple[int, EventRow]]:
        """Every event in log order, with its position; for verification and export."""

    def scan_tallied(self, names: Collection[str] | None) -> Iterator[tuple[int, EventRow]]:
        """
        Every track event that consent allows to be tallied, in log order, with its position.

        Only what tallying reads is filled in: not the context, violations, digest and the client's own times.

        Args:
            names: Only events of these names; None: of any.
        """

    def position(self) -> int:
        """The last log position."""

    def earliest(self) -> int | None:
        """When the first of the stored events happened; None: there is none."""

    def identifier(self, id: bytes) -> Identifier | None:
        """The raw identifier behind a hash."""


# --- facts: what a decision is made from ---


class Tally(msgspec.Struct, frozen=True, gc=False):
    """One bucket of one signal: the matching events of one leaf within one hour."""

    entity: bytes
    signal: int
    bucket: int  # hours since the epoch
    leaf: bytes
    n: int
    first_at: int
    last_at: int


class TallyItem(msgspec.Struct, frozen=True, gc=False):
    """One distinct value of one bucket."""

    entity: bytes
    signal: int
    bucket: int
    leaf: bytes
    item: bytes
    first_at: int
    last_at: int


class LinkRow(Link, frozen=True, gc=False):
    """A line of the link ledger: its earliest observation, and what became of it."""

    state: str = "active"  # active | blocked | undone
    reason: str | None = None
    rule_version: int = 1  # by which edition of the rules that was decided
    again: int = 0  # how often it was observed again since it was undone


class IdentityAct(msgspec.Struct, frozen=True, gc=False):
    """An admin's word on who is who: append-only. Of all words on a pair the last one counts."""

    act_id: bytes
    at: int
    actor: str  # the admin token's id, or the user of the command line
    action: Literal["link", "rename", "undo"]
    pairs: tuple[tuple[bytes, bytes], ...]  # each with the smaller id first
    note: str = ""
    former: bytes = b""  # of a rename, the user id that is a name of the past


class Facts(Protocol):
    """What decisions read: one consistent snapshot. Every list is complete; order is unspecified unless said."""

    def tallies(self, entities: Sequence[bytes], signals: Sequence[int]) -> Sequence[Tally]:
        """Tally rows of these entities and signals."""

    def items(self, entities: Sequence[bytes], signals: Sequence[int]) -> Sequence[TallyItem]:
        """Distinct values of these entities and signals."""

    def marked(self, entities: Sequence[bytes], signals: Sequence[int]) -> frozenset[int]:
        """Which of these signals any of these entities has a tally row of. Costs the same however many rows."""

    def traits(self, entities: Sequence[bytes], keys: Sequence[str]) -> Sequence[TraitChange]:
        """The history of these traits."""

    def consents(self, subjects: Sequence[bytes], purposes: Sequence[str]) -> Sequence[ConsentEntry]:
        """The consent log of these subjects for these purposes."""

    def doubtful(self, subjects: Sequence[bytes], purposes: Sequence[str]) -> Collection[bytes]:
        """Which of these subjects ever said anything but a lasting yes to any of these purposes."""

    def waiting(self, leaves: Sequence[bytes]) -> Sequence[Waiting]:
        """The events of these leaves that wait for a grant."""

    def awaiting(self) -> Iterator[tuple[Waiting, bool]]:
        """Every event that came without a grant it needs, and whether it counts by now; for verification."""

    def consent_evidence(self, message_id: str) -> Sequence["ConsentEvidence"]:
        """Under which consent messages with this id were stored or dropped, in any source; newest first."""

    def links_of(self, ids: Sequence[bytes]) -> Sequence[LinkRow]:
        """Links with either end among these, aliases also by their previous name read as a user id."""

    def acts_of(self, ids: Sequence[bytes]) -> Sequence[IdentityAct]:
        """What admins said of pairs with either end among these: every act, with those of its pairs alone."""

    def shared_from(self, leaves: Sequence[bytes]) -> Mapping[bytes, int]:
        """Of leaves that several users were seen with: from when on, inclusive, what they did is nobody's."""

    def trait_history(self, entities: Sequence[bytes]) -> Sequence[TraitChange]:
        """Every change of every trait."""

    def events_by_id(self, ids: Sequence[bytes]) -> Sequence[EventRow]:
        """The events with these ids."""

    def events_count(
        self, leaves: Sequence[bytes], start: int | None = None, end: int | None = None, *, unnamed: bool = False
    ) -> int:
        """How many events these leaves have, with start <= at < end; of those that name no account, if so asked."""

    def people(self, leaves: Sequence[bytes]) -> Mapping[bytes, bytes]:
        """Leaf -> person, for leaves that were ever linked; a leaf not in it is a person of its own."""

    def leaves_of(self, people: Sequence[bytes]) -> Mapping[bytes, Sequence[bytes]]:
        """Person -> its leaves, for people of more than one leaf."""

    def memberships(self, *, leaves: Sequence[bytes] = (), accounts: Sequence[bytes] = ()) -> Sequence[Membership]:
        """Memberships of these leaves, or into these accounts."""

    def accounts_of(self, leaves: Sequence[bytes]) -> Sequence[bytes]:
        """Accounts that these leaves' events name."""

    def identifiers(self, ids: Sequence[bytes]) -> Mapping[bytes, Identifier]:
        """The raw identifiers behind these hashes."""

    def events_of(self, leaf: bytes, start: int, end: int) -> Sequence[EventRow]:
        """A leaf's events with start <= at < end, by (at, event_id)."""

    def ledger(self, kind: EntityKind, entities: Sequence[bytes]) -> Sequence[Transition]:
        """Every transition of these entities, as recorded."""


# --- agenda and ledger ---

# adoption: an event without a named account; it counts for the account its person turns out to belong to.
# account: a trait of the account, which those who belong to it may be judged by.
# identity: links or memberships are to be looked at. merge, unmerge: looking found that identifiers came together, or
# that they went apart.
Cause = Literal[
    "event",
    "adoption",
    "identity",
    "trait",
    "consent",
    "definition",
    "timer",
    "erasure",
    "account",
    "merge",
    "unmerge",
]


class Touch(msgspec.Struct, frozen=True, gc=False):
    """An entity has something new to be decided about."""

    kind: EntityKind
    entity: bytes  # a leaf, or an account
    cause: Cause = "event"
    happened: Happened | None = None  # for plain causes; None: it is not known what


# What events alone do, and what patience may bear: see pql.patience.
PLAIN_CAUSES = frozenset({"event", "adoption"})


class AgendaEntry(msgspec.Struct, frozen=True, gc=False):
    """An entity that is due."""

    kind: EntityKind
    entity: bytes
    due_at: int
    version: tuple[tuple[int, int], ...]  # the adapter's own; another as soon as it is touched again
    causes: frozenset[str]
    since: int  # when it was first touched
    happened: Happened = ANYTHING  # what its plain causes came to


class OutboxMessage(msgspec.Struct, frozen=True, gc=False):
    """A notification that must leave the house at least once."""

    message_id: str  # the idempotency key; the same for every attempt
    endpoint: str  # the configured endpoint's name
    entity: bytes  # messages of one endpoint and entity leave in order
    type: str  # e.g. pql.qualified
    body: bytes  # JSON
    created_at: int


class Decided(msgspec.Struct, frozen=True, gc=False):
    """The result of one agenda entry."""

    entry: AgendaEntry
    transitions: tuple[Transition, ...]
    outbox: tuple[OutboxMessage, ...]
    touches: tuple[Touch, ...] = ()  # whoever else this concerns
    next_at: int | None = None  # when time alone may change the verdict


class Resolution(msgspec.Struct, frozen=True, gc=False):
    """What resolving a component of links found."""

    people: Mapping[bytes, bytes]  # leaf -> person, for every leaf of the component
    links: Mapping[ClaimKey, Decision]  # what became of each link
    touches: tuple[Touch, ...]
    shared_from: Mapping[bytes, int] = msgspec.field(default_factory=dict)  # see Facts.shared_from


class Agenda(Protocol):
    """Who is due to be decided, and what was decided."""

    def touch(self, touches: Iterable[Touch], now: int) -> None:
        """Put entities on the agenda, due now. Of very many some may be put when it raises; putting is idempotent."""

    def take(self, now: int, limit: int) -> Sequence[AgendaEntry]:
        """
        Of the entries due the longest waiting, in that order, each with all that is due about it. They stay on the
        agenda until `complete`.

        What happens to an entity from here on is told apart from what is taken, so that it is taken once.
        """

    def complete(self, decided: Sequence[Decided], now: int) -> None:
        """
        Append transitions and outbox rows, and take the entries off (or set their next moment), in one transaction.

        An entry touched since it was taken stays due. A transition already in the ledger (same definition, entity,
        episode, step and revision) is not written again, nor is its outbox row.
        """

    def resolve(self, resolutions: Sequence[Resolution], now: int) -> None:
        """Replace what is known of these components of people, and touch whoever is concerned; one transaction."""

    def act(self, act: IdentityAct, now: int) -> None:
        """Append an admin's word on links, and put both ends of each on the agenda; one transaction. Again: nothing."""

    def adjust_identity(self, fingerprint: bytes, now: int) -> bool:
        """Put everybody who is linked on the agenda, unless that was done under these rules. Returns whether it was."""

    def link_counts(self) -> Mapping[str, int]:
        """How many links do not stand, by reason; those refused at the door too."""

    def qualified(self, *, definition: str | None, limit: int, offset: int) -> Sequence[Transition]:
        """For every open episode, the transition that speaks, latest effective first; of shadows if one is named."""

    def backlog(self, now: int) -> tuple[int, int]:
        """How many entries are due, and for how long the longest has waited (microseconds)."""


# --- outbox ---


class Filling(msgspec.Struct, frozen=True, gc=False):
    """A signal whose tallies do not cover every stored event yet."""

    signal: int
    filled_to: int  # up to this log position, inclusive, events were read again
    live_after: int  # events after this position brought their marks with them


class Tallies(Protocol):
    """
    Which signals are tallied, and filling new ones from stored events, while others arrive.

    A signal's tallies are *begun* at a log position: events after it bring their marks with them, those up to it are
    read again by `fill`, in order, each once. It is *filled* when nothing is left to read. What was read is written
    together with how far that was, so that filling is broken off and taken up again anywhere.
    """

    def filled(self) -> Mapping[int, bytes]:
        """The filled signals and their documents (JSON)."""

    def fillings(self) -> Sequence[Filling]:
        """The signals that were begun and are not filled, the longest waiting first."""

    def clear(self, signals: Sequence[int]) -> None:
        """Remove the tallies of these signals, which are then not even begun."""

    def begin(self, documents: Mapping[int, bytes]) -> None:
        """
        Begin these signals, by id with their documents, at the end of the log; those already begun are left alone.

        Whoever commits must not be on the way with events that lack their marks: see ``ingest.Fence``.
        """

    def fill(
        self,
        signals: Sequence[int],
        marks_of: Callable[[EventRow], Iterable[Mark]],
        *,
        names: Collection[str] | None,
        limit: int,
    ) -> int:
        """
        Read the next events that these signals lack, and add their marks; one transaction.

        Args:
            signals: Unfilled, all at the same positions.
            marks_of: What an event adds to them; nothing else.
            names: The names of events that can add anything; None: any.
            limit: How many events to read at most.

        Returns:
            How many positions are left; 0: they are filled.
        """

    def entities(self, after: bytes = b"") -> Iterator[bytes]:
        """Every entity that has tallies, traits or transitions, once, ascending; those after one only."""

    def all_rows(self) -> Iterator[Tally | TallyItem]:
        """Every tally row and distinct value, for verification."""

    def definitions(self) -> Mapping[str, "Deciding"]:
        """Under what the ledger was last decided, by the definition's name in it."""

    def declare_definitions(self, hashes: Mapping[str, str], now: int) -> None:
        """Replace that, by name and hash; where name and hash are as before, so is the instant."""


class Deciding(msgspec.Struct, frozen=True, gc=False):
    """A definition under which the ledger is decided."""

    hash: str
    live_at: int  # since when


# --- the register of definitions ---

# What a shadow says is kept in the ledger under names that begin like this, which no definition's id can.
SHADOW = "shadow:"

VersionStatus = Literal["active", "shadow", "retired"]
VersionEvent = Literal["activated", "shadowed", "retired"]


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """A definition as it was once written down, and what has become of it."""

    content: str  # hash of everything it says; layout and comments aside
    id: str
    version: int
    hash: str  # of what decides
    status: VersionStatus
    since: int  # when it came to this status
    # Spliced trends: contents that speak for the time before, each until an instant, exclusive; ascending.
    lineage: tuple[tuple[str, int], ...] = ()
    file: str
    text: str  # of the file; it may hold other definitions beside
    project: str  # the text of the project file it is read with; empty: there was none


class VersionChange(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the history: append-only."""

    id: str
    version: int
    content: str
    change: VersionEvent
    at: int
    actor: str
    note: str
    replaced: str | None = None  # the content that was active before
    replaced_version: int | None = None
    diff: tuple[str, ...] = ()  # in words, against that
    trend: str | None = None  # how lines over time join: restate | splice
    overlap_until: int | None = None  # until when the version before goes on as a shadow


@dataclass(eq=False)
class RegisterMoved(AssayError):
    """Somebody else changed the register in between; nothing was written."""

    def __str__(self) -> str:
        return "the register of definitions was changed by somebody else at the same time; look at it, and try again"


class Register(Protocol):
    """
    Which definitions run: every version that was ever known, what became of it, and who decided so.

    Versions are known by their content and never removed; only their status, since and lineage change. The history is
    append-only. Reading and changing it is safe beside a running collector, which notices by the revision.
    """

    def revision(self) -> int:
        """Rises with every change; cheap enough to be asked all the time."""

    def versions(self, id: str | None = None) -> Sequence[Version]:
        """Every version, or those of one id; in the order of their latest change."""

    def history(self, id: str | None = None) -> Sequence[VersionChange]:
        """Every change, oldest first."""

    def files(self) -> Mapping[str, str]:
        """What the folder of definitions held when a collector last looked: id -> content."""

    def record(
        self,
        versions: Sequence[Version],
        changes: Sequence[VersionChange],
        *,
        revision: int,
        files: Mapping[str, str] | None = None,
    ) -> None:
        """
        Put versions (new, or with a new status) and append changes, in one transaction.

        Args:
            revision: That on which the changes are based.
            files: What the folder holds now; None: as before.

        Raises:
            RegisterMoved: The revision is another by now.
        """


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """An outbox message with its state."""

    message: OutboxMessage
    state: Literal["pending", "delivered", "dead"]
    attempts: int
    next_at: int  # not to be tried before
    last_error: str | None = None


class Outbox(Protocol):
    """Messages on their way out: at least once each, in order an endpoint and entity."""

    def due(self, endpoint: str, now: int, limit: int, lease_until: int) -> Sequence[Delivery]:
        """
        An endpoint's messages whose time has come, longest due first, leased so that nobody takes them again until
        `lease_until`.

        Of each entity only the oldest pending message: the next waits until it is delivered or dead.
        """

    def delivered(self, message_id: str, now: int) -> None:
        """Record that the endpoint accepted it. Its body is not kept: it may hold a raw identifier."""

    def failed(self, message_id: str, error: str, next_at: int | None) -> None:
        """
        Record a failed attempt; the next is at `next_at`, or never (a dead letter) when that is None.

        Does nothing to a message that is no longer pending: a late failure does not undo a delivery.
        """

    def withhold(self, message_id: str, purpose: str) -> None:
        """Record that a pending message may not leave, and never will; its body is not kept. The next may step up."""

    def dead(self, *, endpoint: str | None, limit: int) -> Sequence[Delivery]:
        """Dead letters, newest first."""

    def resend(self, message_ids: Sequence[str], now: int) -> int:
        """
        Make dead letters pending again, due now, with a fresh count of attempts; each keeps its place in its order.

        Returns how many were dead.
        """

    def pending(self) -> int:
        """How many messages wait."""


# --- the rights of persons, and how long things are kept ---

RequestKind = Literal["export", "erase", "suppress"]
# requested: to be done. suppressed: nothing about the person is processed any more, as of the moment of the request.
# erasing: its rows are being removed. notifying: they are gone, and recipients are being told. lifted: a suppression
# that is over.
RequestState = Literal["requested", "suppressed", "erasing", "notifying", "done", "lifted"]


class PrivacyRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody asked for as a person's right. It holds no raw identifier."""

    request_id: bytes
    kind: RequestKind
    state: RequestState
    subjects: tuple[bytes, ...]  # the identity ids concerned: keyed hashes
    requested_at: int
    due_at: int
    by: str = ""  # who entered it
    reason: str = ""
    keeps_events: bool = False  # for a suppression: events are stored, and never scored, rather than refused
    finished_at: int | None = None
    counts: Mapping[str, int] = msgspec.field(default_factory=dict)  # table -> rows removed, or handed out
    certificate: bytes | None = None  # JSON


@dataclass(frozen=True, slots=True)
class Told:
    """An endpoint that was, or may have been, told something about a person under this id."""

    endpoint: str
    entity: bytes
    external_id: str | None


Expand = Callable[["Facts", Sequence[bytes]], Sequence[bytes]]  # some of a person's identity ids -> all of them
Notices = Callable[[Sequence[Told]], Sequence["OutboxMessage"]]


@dataclass(frozen=True, slots=True)
class Redaction:
    """How values of a person are taken out of what must be kept. What holds none is returned as it is."""

    evidence: Callable[[str, bytes], bytes]  # definition, evidence of a transition (JSON)
    consent: Callable[[bytes], bytes]  # evidence of a line of the consent log (JSON)


class Rights(Protocol):
    """What a person may ask for: to know, to be forgotten, to be left alone."""

    def open(self, request: PrivacyRequest, *, expand: Expand, notices: Notices) -> PrivacyRequest:
        """
        Enter a request, for every identity id of the person; for an erasure or a suppression it takes effect in this
        very transaction.

        From then on nothing about the person is admitted, decided or sent: no commit, decision or outbox row that is
        written later holds it, wherever it was on its way. An erasure is also on record outside the database, durably
        before it is in it, so that an older copy of the database can be told by `forgotten`.

        Args:
            expand: Run inside the transaction, so that no link that arrives meanwhile is missed.
            notices: The messages to whoever was told about the person; they leave through the outbox.

        Returns:
            The request with all its subjects.
        """

    def erase_some(self, request_id: bytes, rows_max: int, redaction: Redaction, now: int) -> bool:
        """
        Remove some rows of an erasure in one short transaction; they are counted in the request, and overwritten.

        Broken off anywhere, it goes on where it was. When the last are gone, the accounts that the person acted in are
        put on the agenda, with cause ``erasure``.

        Returns:
            Whether there is more to do.
        """

    def erasures(self) -> Sequence[PrivacyRequest]:
        """Erasures whose rows are not all gone."""

    def settle(self, endpoints: Sequence[str]) -> Sequence[tuple[PrivacyRequest, Mapping[str, str]]]:
        """
        The erasures whose rows are gone, and whose notices are delivered or dead: they can be finished.

        Notices to endpoints other than these are given up first.

        Returns:
            Each with what became of its notices: endpoint -> delivered | dead.
        """

    def finish(self, request_id: bytes, counts: Mapping[str, int], certificate: bytes | None, now: int) -> None:
        """A request is done."""

    def lift(self, request_id: bytes, now: int) -> bool:
        """End a suppression. False: there is none under way by this id."""

    def requests(self) -> Sequence[PrivacyRequest]:
        """All, newest first."""

    def request(self, request_id: bytes) -> PrivacyRequest | None:
        """One."""

    def overdue(self, now: int) -> tuple[int, int]:
        """How many requests are under way, and how many of those are past their date."""

    def erased(self, ids: Sequence[bytes]) -> frozenset[bytes]:
        """Which of these identities were erased."""

    def held(self, ids: Sequence[bytes]) -> Mapping[str, int]:
        """How many rows each table holds about a person; what an erasure would remove."""

    def export(self, ids: Sequence[bytes]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Everything held about a person, every table: (table, row), JSON columns as bytes of msgspec.Raw."""

    def forgotten(self) -> Sequence[tuple[bytes, Sequence[bytes]]]:
        """The erasures (request, subjects) on record outside the database that it, an older copy, does not know of."""


RetentionClass = Literal["quarantine", "conflicts", "outbox"]


class Retention(Protocol):
    """Removing what has been kept long enough, some rows in one short transaction."""

    def compact(self) -> None:
        """
        Write everything anew, so that nothing that was removed is left in any file of the store. Nobody else may use
        it meanwhile.
        """

    def sweep(self, what: RetentionClass, before: int, rows_max: int) -> int:
        """Remove rows of a class that are older than an instant, oldest first; returns how many."""

    def sweep_events(
        self, before: int, rows_max: int, after: int, is_read: Callable[[EventRow], bool]
    ) -> tuple[int | None, int]:
        """
        Look at some events received before an instant, in log order, and remove those that nothing reads.

        Args:
            after: The log position to begin after.

        Returns:
            How many were removed (None: there was none left to look at), and the position to go on after.
        """


# --- sources and keys ---


PlanMode = Literal["allow", "quarantine", "reject-in-development"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where events come from: an app, a site, a service. Events are the same only within a source."""

    id: str  # short and stable, e.g. "web"; letters, digits, - and _
    name: str
    namespace: str = "default"  # userIds of one namespace mean the same person
    invalid: PlanMode = "quarantine"  # for events that fail the plan
    unplanned: PlanMode = "quarantine"  # for events the plan does not know
    consent: Mapping[str, str] | None = None  # purpose -> opt_in | opt_out | exempt; default opt_out
    categories: Mapping[str, Sequence[str]] | None = None  # the consent manager's category -> purposes
    # purpose -> store_restricted | anonymise | drop: what becomes of an event whose person denies it
    on_deny: Mapping[str, str] | None = None
    gpc: tuple[str, ...] | None = None  # the purposes that Global Privacy Control denies; None: sale and sharing
    dnt: tuple[str, ...] = ()  # the purposes that Do Not Track denies
    google_consent: bool = False  # whether context.googleConsent is read
    consent_days: int | None = None  # after so many days a grant ends by itself, unless it says when
    allow_user_merge: bool = False  # whether its aliases may join two users
    identify_by: tuple[str, ...] = ()  # what else its messages identify by: device | email | external


@dataclass(frozen=True, kw_only=True)
class ConsentEvidence:
    """Why a message was stored, or dropped."""

    source: str
    message_id: str
    received_at: int
    event: EventRow | None  # None: it was dropped
    snapshot: ConsentSnapshot | None  # None: it said nothing, under a source that asks for nothing
    entries: Sequence[ConsentEntry]  # what it said, as logged
    settings: "Source | None"  # its source as it was set when the message came


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """A write key or an admin token, of which only a hash is kept."""

    id: str  # public, e.g. "key_3fk2"; names the key without giving it away
    kind: Literal["browser", "server", "admin"]
    source: str | None  # None for admin tokens
    digest: bytes  # SHA-256 of the secret; the secret is 256 bits of randomness, so no salt or stretching is needed
    created_at: int
    revoked_at: int | None = None
    note: str = ""


class Keyring(Protocol):
    """Sources and keys. Secrets are never stored, only their digests."""

    def sources(self) -> Sequence[Source]:
        """All sources, by id."""

    def put_source(self, source: Source, now: int) -> None:
        """Create or change a source."""

    def keys(self) -> Sequence[Key]:
        """All keys, revoked ones too, newest first."""

    def put_key(self, key: Key) -> None:
        """Add a key."""

    def revoke(self, key_id: str, now: int) -> bool:
        """Revoke a key. False: there is no such key, or it was revoked before."""

    def find(self, digest: bytes) -> Key | None:
        """The live key with this digest."""


class Turn(Protocol):
    """The right to compute, for as long as the block lasts."""

    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...

    def background(self) -> AbstractContextManager[None]:
        """The same for work that can wait: others go first, for a bounded time."""


class Store(Protocol):
    """One database behind all the ports."""

    @property
    def events(self) -> EventLog: ...
    @property
    def agenda(self) -> Agenda: ...
    @property
    def tallies(self) -> Tallies: ...
    @property
    def outbox(self) -> Outbox: ...
    @property
    def keyring(self) -> Keyring: ...
    @property
    def rights(self) -> Rights: ...
    @property
    def retention(self) -> Retention: ...
    @property
    def register(self) -> Register: ...

    @property
    def turn(self) -> Turn:
        """
        To be held by whoever computes for more than a moment, and never while calling a method that writes.

        An adapter that suffers when threads compete for the interpreter makes them take turns by it.
        """

    def snapshot(self) -> AbstractContextManager[Facts]:
        """A consistent view of all facts, for as long as the block lasts."""

    def check(self) -> None:
        """Raise StoreUnavailable unless the store can be read and written now."""

    def setting(self, name: str, default: bytes) -> bytes:
        """A value kept with the data (for example the identity key): `default` is written the first time."""

    def close(self) -> None:
        """Finish what is under way and release everything. Calling it again does nothing."""
