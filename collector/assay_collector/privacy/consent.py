"""Consent for people's questions: why something was stored, and where somebody stands. Plain JSON, with words."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from assay.contract.consent import PURPOSES
from assay.contract.times import INSTANT_MIN, format_instant
from assay_collector.identity.consent import Standing, stand
from assay_collector.identity.identifiers import Identify
from assay_collector.store import ConsentEntry, ConsentEvidence, Facts, Source, Store

Json = dict[str, Any]

_decode = msgspec.json.Decoder().decode
_HEX_DIGITS = frozenset("0123456789abcdef")
_POLICY_WORDS = {
    "opt_in": "who has not agreed refuses",
    "opt_out": "who has not refused agrees",
    "exempt": "nobody is asked",
}
_SIGNAL_WORDS = {
    "context.consent": "the consent manager's answer in the message (context.consent)",
    "context.consentManagement": "the consent manager's answer in the message (context.consentManagement)",
    "context.googleConsent": "Google's consent mode, as chosen",
    "google.default": "Google's consent mode, as preset before any choice",
    "segment.preference_event": "the consent manager's event Segment Consent Preference Updated",
    "gpc": "the browser's Global Privacy Control",
    "dnt": "the browser's Do Not Track",
    "statement": "a statement of consent (POST /v1/consent)",
    "suppression": "a request not to be processed",
    "policy": "nothing was said, and the source asks first",
}
_ACTION_WORDS = {
    "store_restricted": "It was kept, but is not used for what was refused.",
    "anonymise": "It was kept without anything that leads to a person.",
    "drop": "It was dropped: nothing is kept of it but that it came.",
}


class ConsentReader:
    """Answers from the consent log, in one snapshot each."""

    def __init__(self, store: Store, identify: Identify, clock: Callable[[], int]) -> None:
        self._store = store
        self._identify = identify
        self._clock = clock

    def why(self, message_id: str) -> Json | None:
        """
        Why a message was stored, or not: when, by which signals and policy, for which purposes, on what basis.

        Returns:
            One answer a source that it came by, the newest first, each with ``words``. None: it was never seen, or it
            is in the quarantine, where nothing was decided about it.

        Raises:
            StoreUnavailable: The store cannot answer now.
        """
        with self._store.snapshot() as facts:
            found = [_answer(evidence) for evidence in facts.consent_evidence(message_id)]
        return {"messageId": message_id, "answers": found} if found else None

    def show(self, subject: str) -> Json | None:
        """
        Where a person stands on each purpose now, and everything it ever said.

        Args:
            subject: A userId, an anonymousId, or our own id in hexadecimal; whoever is one person with it speaks too.

        Returns:
            None: the log knows nothing of it.

        Raises:
            StoreUnavailable: The store cannot answer now.
        """
        with self._store.snapshot() as facts:
            named = self._candidates(subject)
            people = facts.people(list(named))
            found = [
                self._person(facts, [id for id in named if people.get(id, id) == person], named)
                for person in dict.fromkeys(people.get(id, id) for id in named)
            ]
        spoken = [person for person in found if person["log"]]
        return {"subject": subject, "people": spoken} if spoken else None

    def _person(self, facts: Facts, ids: Sequence[bytes], named: Mapping[bytes, tuple[str, str]]) -> Json:
        person = next(iter(facts.people(ids).values()), ids[0])
        leaves = sorted({*ids, person, *facts.leaves_of([person]).get(person, ())})
        log = facts.consents(leaves, PURPOSES)
        names = {id: named[id] for id in ids} | {id: (i.type, i.value) for id, i in facts.identifiers(leaves).items()}
        users = frozenset(id for id, (type, _) in names.items() if type == "user")
        standings = stand(log, users, self._clock())
        ordered = sorted(log, key=lambda entry: (entry.at, entry.received_at, entry.purpose, entry.subject))
        return {
            "identifiers": [_name(names.get(id), id) for id in sorted({entry.subject for entry in log})],
            "purposes": {p: _standing(standings[p], names) for p in PURPOSES if p in standings},
            "log": [
                {**_entry(entry), "identifier": _name(names.get(entry.subject), entry.subject)} for entry in ordered
            ],
        }

    def _candidates(self, subject: str) -> dict[bytes, tuple[str, str]]:
        """The ids that a name may stand for. One whose events were all dropped is known by nothing else."""
        namespaces = {source.namespace for source in self._store.keyring.sources()} | {"default"}
        found: dict[bytes, tuple[str, str]] = {
            self._identify(namespace, "user", subject): ("user", subject) for namespace in namespaces
        }
        found |= {self._identify(namespace, "anonymous", subject): ("anonymous", subject) for namespace in namespaces}
        if len(subject) == 32 and _HEX_DIGITS.issuperset(subject):
            found[bytes.fromhex(subject)] = ("id", subject)
        return found


def _name(known: tuple[str, str] | None, id: bytes) -> Json:
    type, value = known or (None, None)
    return {"type": type, "value": value, "id": id.hex()}


def _standing(standing: Standing, names: Mapping[bytes, tuple[str, str]]) -> Json:
    return {
        "state": standing.state,
        "allowed": not standing.is_refused,
        "since": _when(standing.since),
        "saidBy": _name(names.get(standing.subject), standing.subject),
    }


def _entry(entry: ConsentEntry) -> Json:
    return {
        "purpose": entry.purpose,
        "state": entry.state,
        "signal": entry.signal,
        "saidAt": _when(entry.at),
        "receivedAt": format_instant(entry.received_at),
        "expiresAt": None if entry.expires_at is None else format_instant(entry.expires_at),
        "legalBasis": entry.legal_basis,
        "policyVersion": entry.policy_version,
        "source": entry.source,
        "evidence": _decode(entry.evidence),
    }


def _when(at: int) -> str | None:
    """None: before anything was said."""
    return None if at <= INSTANT_MIN else format_instant(at)


# --- why ------------------------------------------------------------------------------------------------------------


def _answer(found: ConsentEvidence) -> Json:
    decision: Json = {} if found.snapshot is None else _decode(found.snapshot.decision)
    states: Mapping[str, str] = {} if found.snapshot is None else _decode(found.snapshot.states)
    policies = decision.get("policies") or _policies(found.settings)
    purposes = {
        purpose: {
            "said": states.get(purpose),
            "signal": decision.get("signals", {}).get(purpose),
            "known": decision.get("known", {}).get(purpose),
            "policy": policies[purpose],
            "allowed": purpose not in decision.get("refused", ()),
        }
        for purpose in PURPOSES
    }
    answer: Json = {
        "source": found.source,
        "stored": found.event is not None,
        "receivedAt": format_instant(found.received_at),
        "timestamp": None if found.event is None else format_instant(found.event.at),
        "type": None if found.event is None else found.event.type,
        "name": None if found.event is None else found.event.name,
        "action": "drop" if found.event is None else decision.get("action"),
        "scored": found.event is not None and found.event.scored,
        "awaits": decision.get("awaits", []),
        "purposes": purposes,
        "legalBasis": decision.get("legalBasis"),
        "policyVersion": decision.get("policyVersion"),
        "evidence": {} if found.snapshot is None else _decode(found.snapshot.evidence),
        "log": [_entry(entry) for entry in found.entries],
        "consentId": None if found.snapshot is None else found.snapshot.consent_id.hex(),
    }
    return {**answer, "words": list(_words(answer))}


def _policies(settings: Source | None) -> Mapping[str, str]:
    chosen = (settings.consent if settings is not None else None) or {}
    return {purpose: chosen.get(purpose, "opt_out") for purpose in PURPOSES}


def _words(answer: Json) -> Iterable[str]:
    what = " ".join(part for part in (answer["type"], answer["name"]) if part) or "message"
    what = "statement of consent" if answer["type"] == "consent" else what
    yield f"This {what} was received on {answer['receivedAt']} from the source {answer['source']}."
    for purpose, told in answer["purposes"].items():
        yield f"{purpose}: {_reason(told)}; so it was {'allowed' if told['allowed'] else 'refused'}."
    if answer["legalBasis"]:
        yield f"The legal basis given was {answer['legalBasis']}."
    if answer["policyVersion"]:
        yield f"The version of the text agreed to was {answer['policyVersion']}."
    if answer["action"]:
        yield _ACTION_WORDS[answer["action"]]
    if answer["stored"]:
        yield _score_words(answer)


def _reason(told: Json) -> str:
    if told["said"]:
        return f"the message said {told['said']}, by {_signal(told['signal'])}"
    if told["known"]:
        return f"the message said nothing, and its person was known to have {_participle(told['known'])} it"
    return f"nothing was said, and by the source's policy {told['policy']} {_POLICY_WORDS[told['policy']]}"


def _participle(state: str) -> str:
    return "granted" if state == "granted" else "refused"


def _score_words(answer: Json) -> str:
    if answer["scored"]:
        if answer["awaits"]:
            return f"It is scored, since a grant of {' and '.join(answer['awaits'])} covers it."
        return "It may be scored, for as long as its person does not refuse."
    if answer["awaits"]:
        return f"It is not scored, unless a grant of {' and '.join(answer['awaits'])} turns up that covers it."
    return "It is not scored."


def _signal(signal: str | None) -> str:
    return _SIGNAL_WORDS.get(signal or "", signal or "no signal")
