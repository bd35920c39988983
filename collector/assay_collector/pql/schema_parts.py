"""What the schemas of definitions and of project files are put together from."""

import json
from typing import Any, Final

Schema = dict[str, Any]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
DURATION: Final = "[0-9]{1,6} ?(days?|h|m|s)"
SIGNAL_NAME: Final = "[A-Za-z][A-Za-z0-9_-]{0,63}"
TRAIT: Final = r"(user|account)\.[^\s]{1,200}"
SLUG: Final = "^[a-z0-9]+(-[a-z0-9]+)*$"


def ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def text(title: str, **more: Any) -> Schema:
    return {"title": title, "type": "string", "minLength": 1, **more}


def whole(title: str, least: int, **more: Any) -> Schema:
    return {"title": title, "type": "integer", "minimum": least, "maximum": 1_000_000, **more}


def mapping(title: str, properties: Schema, required: tuple[str, ...] = (), **more: Any) -> Schema:
    shape: Schema = {"title": title, "type": "object", "properties": properties, "additionalProperties": False}
    if required:
        shape["required"] = list(required)
    return {**shape, **more}


def list_of(title: str, items: Schema, **more: Any) -> Schema:
    return {"title": title, "type": "array", "items": items, "minItems": 1, "maxItems": 1000, **more}


def named(title: str, values: Schema, names: str, **more: Any) -> Schema:
    """A mapping whose keys the author makes up."""
    return {
        "title": title,
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1000,
        "propertyNames": {"title": "a name", "pattern": names},
        "additionalProperties": values,
        **more,
    }


COMPARATOR: Final[Schema] = {
    "title": "a comparator",
    "description": "A test of a value in plain words. A plain value means equality, a list means any of its values. "
    "A text that reads like a comparator and is meant as a value goes into a list.",
    "type": ["string", "number", "boolean", "array"],
    "minLength": 1,
    "items": {"title": "a value", "type": ["string", "number", "boolean"]},
    "minItems": 1,
    "examples": [
        "at least 3",
        "at most 5",
        "more than 2",
        "less than 80%",
        "between 50 and 5000",
        "not paid",
        ["admin", "owner"],
        "is known",
    ],
}


def shared_defs() -> Schema:
    duration = "days (counted as such), hours, minutes or seconds"
    return {
        "comparator": COMPARATOR,
        "duration": text(
            "a duration",
            pattern=f"^{DURATION}$",
            description=f"A number of {duration}.",
            examples=["14 days", "48h", "30m", "10s"],
        ),
        "percent": text("a per cent", pattern=r"^[0-9]{1,6}(\.[0-9]{1,6})?%$", examples=["40%", "150%"]),
        "share": text(
            "a share", pattern=r"^(100(\.0{1,6})?|[0-9]{1,2}(\.[0-9]{1,6})?)%$", examples=["40%", "2.5%", "100%"]
        ),
    }


def schema_text(schema: Schema) -> str:
    """Write a schema as it stands in the folder ``schemas``."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
