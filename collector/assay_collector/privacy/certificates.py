"""The proof of an erasure: what was removed, when, and who was told. It names nobody. Pure."""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

import msgspec

from assay.contract.times import format_instant
from assay_collector.store import PrivacyRequest

KEY_BYTES = 32

_canonical = msgspec.json.Encoder(order="deterministic").encode


def certificate(request: PrivacyRequest, notices: Mapping[str, str], *, key: bytes, now: int) -> bytes:
    """
    A signed JSON document.

    Args:
        notices: What became of the notice to each endpoint: delivered | dead.
        key: The store's own; whoever has the store can `verify`.
    """
    document: dict[str, Any] = {
        "certificate": "erasure",
        "request": request.request_id.hex(),
        "subjects": [id.hex() for id in request.subjects],
        "requestedAt": format_instant(request.requested_at),
        "suppressedAt": format_instant(request.requested_at),
        "finishedAt": format_instant(now),
        "removed": dict(request.counts),
        "notices": dict(notices),
    }
    return _canonical({**document, "signature": _signature(document, key)})


def verify(document: Mapping[str, Any], key: bytes) -> bool:
    """Whether a certificate was made by the store with this key, and not changed since."""
    said = document.get("signature")
    rest = {name: value for name, value in document.items() if name != "signature"}
    return isinstance(said, str) and hmac.compare_digest(said.encode(), _signature(rest, key).encode())


def _signature(document: Mapping[str, Any], key: bytes) -> str:
    return "hmac-sha256:" + hmac.new(key, _canonical(document), hashlib.sha256).hexdigest()
