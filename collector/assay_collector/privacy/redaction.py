"""Taking a person's values out of what must be kept: ledgers of others, and the consent log. Pure."""

from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any

import msgspec

from assay_collector.pql import definition as d
from assay_collector.pql.definition import Catalogue
from assay_collector.pql.ledger import ERASED
from assay_collector.store import Redaction

# What is counted tells how often, or how many; never what.
_COUNTS = ("count", "distinct", "active_days", "since")
_CONSENT_WORDS = frozenset(
    {"granted", "denied", "withdrawn", "expired", "unknown", "true", "false", "0", "1", "yes", "no"}
)

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def redaction(catalogue: Callable[[], Catalogue], key: bytes) -> Redaction:
    """
    The redaction under whichever definitions decide.

    Args:
        catalogue: Those that decide now; the same object as long as they are the same.
        key: What words in the consent log are hashed with.
    """
    known = Catalogue()
    compiled = _compiled(known)

    def evidence(definition: str, evidence: bytes) -> bytes:
        nonlocal known, compiled
        if (current := catalogue()) is not known:
            known, compiled = current, _compiled(current)
        return compiled(definition, evidence)

    return Redaction(evidence, lambda evidence: _consent(evidence, key))


def evidence_redaction(plain: Mapping[str, frozenset[str]]) -> Callable[[str, bytes], bytes]:
    """
    The function that leaves out of evidence every value that may have been an event's own.

    Args:
        plain: Definition -> the names of criteria that only count. Of a definition that is not known, all may be more.
    """

    def redact(definition: str, evidence: bytes) -> bytes:
        document = _decode(evidence)
        changed = _clear(document, plain.get(definition, frozenset()))
        return _encode({**document, ERASED: True}) if changed else evidence

    return redact


def _compiled(catalogue: Catalogue) -> Callable[[str, bytes], bytes]:
    return evidence_redaction({definition.id: _plain_names(definition) for definition in catalogue.definitions})


def _plain_names(definition: d.Definition) -> frozenset[str]:
    return frozenset(subject.name for subject in definition.subjects if _only_counts(subject)) | {"score"}


def _only_counts(subject: d.Subject) -> bool:
    if isinstance(subject, d.Use):
        return subject.signal.aggregate in _COUNTS
    return isinstance(subject, d.Sequence | d.Members | d.ScorePoints)


def _clear(node: Any, plain: frozenset[str]) -> bool:
    """Clear values in a tree of criteria; whether any was cleared."""
    changed = False
    if isinstance(node, dict):
        name = node.get("name", node.get("each"))
        if isinstance(name, str) and name not in plain and node.get("value") is not None:
            node["value"] = None
            changed = True
        node = list(node.values())
    for part in node if isinstance(node, list) else ():
        changed = _clear(part, plain) or changed
    return changed


def _consent(evidence: bytes, key: bytes) -> bytes:
    document = _decode(evidence)
    redacted = _hashed(document, key)
    return evidence if redacted == document else _encode(redacted)


def _hashed(node: Any, key: bytes) -> Any:
    """What was said, with everything hashed that is no word of consent."""
    if isinstance(node, dict):
        return {name: _hashed(value, key) for name, value in node.items()}
    if isinstance(node, list):
        return [_hashed(value, key) for value in node]
    if isinstance(node, str) and node.lower() not in _CONSENT_WORDS and not node.startswith("hash:"):
        return "hash:" + blake2b(node.encode("utf-8", "surrogatepass"), digest_size=16, key=key).hexdigest()
    return node
