"""
The ``x-assay`` block of an event's document, as a JSON Schema.

The contract reads no files, so the schema lives here; ``schemas/plan-event.schema.json`` is the same, written out for
editors, and a test keeps the two equal.
"""

import json
from typing import Any, Final

from assay.contract.personal import PII_CLASSES

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
VERSION_PATTERN: Final = "^[1-9][0-9]{0,5}-(0|[1-9][0-9]{0,5})-(0|[1-9][0-9]{0,5})$"

# What may be done with an event.
PURPOSES: Final = ("analytics", "pql_scoring", "sales_contact", "third_party_share", "enrichment")
# The types whose documents name the event; page and screen may leave it out and then mean any.
NAMED_TYPES: Final = ("track", "page", "screen")
PLANNED_TYPES: Final = (*NAMED_TYPES, "identify", "group")

_TYPE_IS = {"required": ["type"], "properties": {"type": {"const": "track"}}}
_TYPE_IS_NAMELESS = {"required": ["type"], "properties": {"type": {"enum": ["identify", "group"]}}}

BLOCK_SCHEMA: Final[dict[str, Any]] = {
    "description": "What Assay needs to know of an event beside the shape of its properties.",
    "type": "object",
    "required": ["type", "version", "purposes"],
    "additionalProperties": False,
    "properties": {
        "type": {
            "description": "The message this document is about. It describes the properties of track, page and "
            "screen, the traits of identify and group.",
            "enum": list(PLANNED_TYPES),
        },
        "event": {
            "description": "The event's name for track; the page's or screen's name, where absent means any.",
            "type": "string",
            "minLength": 1,
            "maxLength": 200,
        },
        "version": {
            "description": "MODEL-REVISION-ADDITION, as in the file's name. A breaking change raises MODEL.",
            "type": "string",
            "pattern": VERSION_PATTERN,
        },
        "owner": {"description": "The team to ask about this event.", "type": "string", "minLength": 1},
        "description": {
            "description": "When the event is sent and what it means.",
            "type": "string",
            "minLength": 1,
        },
        "purposes": {
            "description": "What the event may be used for, where its subject's consent allows it.",
            "type": "array",
            "items": {"enum": list(PURPOSES)},
            "minItems": 1,
            "uniqueItems": True,
        },
        "deprecated_at": {
            "description": "ISO 8601 date or instant from which the event should no longer be sent; null if it is "
            "in use.",
            "type": ["string", "null"],
        },
    },
    "allOf": [
        {"if": _TYPE_IS, "then": {"required": ["event"]}},
        {"if": _TYPE_IS_NAMELESS, "then": {"properties": {"event": False}}},
    ],
}

PLAN_SCHEMA: Final[dict[str, Any]] = {
    "description": "The plan as a whole: plan.json.",
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "description": {"type": "string"},
        "owner": {"type": "string"},
    },
}

# A schema anywhere in a document: JSON Schema, and the mark for personal data. The dynamic anchor makes it hold for
# the schemas inside of schemas too.
_MARKED_SCHEMA: Final[dict[str, Any]] = {
    "$id": "urn:assay:schema:marked-schema",
    "$dynamicAnchor": "meta",
    "allOf": [{"$ref": DIALECT}],
    "properties": {
        "x-pii": {
            "description": "The value is personal data of this class; it is never shown in an explanation.",
            "enum": list(PII_CLASSES),
        }
    },
}

PLAN_EVENT_SCHEMA: Final[dict[str, Any]] = {
    "$schema": DIALECT,
    "$id": "urn:assay:schema:plan-event",
    "title": "An event of an Assay tracking plan",
    "description": "A JSON Schema (2020-12) of an event's properties or traits, with the block x-assay.",
    "type": "object",
    "required": ["x-assay"],
    "properties": {"x-assay": {"$ref": "#/$defs/block"}},
    "allOf": [{"$ref": "urn:assay:schema:marked-schema"}],
    "$defs": {"block": BLOCK_SCHEMA, "marked": _MARKED_SCHEMA},
}


def plan_event_schema_text() -> str:
    """Write the schema as it stands in ``schemas/plan-event.schema.json``."""
    return json.dumps(PLAN_EVENT_SCHEMA, indent=2) + "\n"
