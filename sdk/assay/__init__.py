"""Assay's client SDK: events that are validated, deduplicated and stitched to who did them."""

from assay._default import alias, close, configure, flush, group, identify, page, screen, stats, track
from assay._version import __version__
from assay.buffer import Stats
from assay.client import Client
from assay.contract.errors import AssayError
from assay.delivery import DropReason
from assay.errors import (
    EventQuarantined,
    EventsDropped,
    EventTooLarge,
    InvalidSetting,
    MalformedCall,
    NotConfigured,
    PlanViolation,
)
from assay.scopes import Scope, current_scope, reset, scope, update_scope

__all__ = [
    "AssayError",
    "Client",
    "DropReason",
    "EventQuarantined",
    "EventTooLarge",
    "EventsDropped",
    "InvalidSetting",
    "MalformedCall",
    "NotConfigured",
    "PlanViolation",
    "Scope",
    "Stats",
    "__version__",
    "alias",
    "close",
    "configure",
    "current_scope",
    "flush",
    "group",
    "identify",
    "page",
    "reset",
    "scope",
    "screen",
    "stats",
    "track",
    "update_scope",
]
