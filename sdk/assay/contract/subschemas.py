"""
Where JSON Schema 2020-12 keeps schemas inside schemas, and which part of an event each of them judges.

A plan uses the part of JSON Schema whose cost is bounded: references lead to a place inside the plan, and never in
a circle. So every schema can be unfolded into a finite tree; its size bounds the work that any event can cause.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from assay.contract.display import pointer

# A step from an event's value to a part of it: a property's name, or any property or item.
Step = str | None
ANY: Final[Step] = None

Schema = dict[str, Any]

UNFOLDED_NODES_MAX = 20_000
UNFOLDED_DEPTH_MAX = 128

# Where a shared type lies, and how a reference names it.
TYPE_FILE = re.compile(r"types/[A-Za-z0-9._-]+\.json")

_TOO_DEEP = f"is more than {UNFOLDED_DEPTH_MAX} schemas deep with its references unfolded"

_HERE: Final[tuple[Step, ...]] = ()
_ONE_HERE = ("not", "if", "then", "else")
_LIST_HERE = ("allOf", "anyOf", "oneOf")
_ONE_BELOW = (
    "additionalProperties",
    "unevaluatedProperties",
    "items",
    "contains",
    "unevaluatedItems",
)
# Kept for references only; they judge nothing by themselves.
_STORES = ("$defs", "definitions")


@dataclass(frozen=True, slots=True)
class Subschema:
    """A schema directly inside another."""

    # Where it stands in the outer schema.
    tokens: tuple[str | int, ...]
    # Which part of the outer schema's value it judges; None if it judges nothing by itself.
    steps: tuple[Step, ...] | None
    schema: Schema | bool


def subschemas(schema: Schema) -> Iterator[Subschema]:
    """Yield every schema that stands directly inside this one; oddly shaped keywords are skipped."""
    for keyword, value in schema.items():
        if isinstance(value, dict | bool):
            yield from _of_one(keyword, value)
        if isinstance(value, dict):
            yield from _of_map(keyword, value)
        elif isinstance(value, list):
            yield from _of_list(keyword, value)


def _of_one(keyword: str, value: Schema | bool) -> Iterator[Subschema]:
    # The names of properties are judged where the object stands, so they count as the object itself.
    if keyword in _ONE_HERE or keyword in ("propertyNames", "contentSchema"):
        yield Subschema((keyword,), _HERE, value)
    elif keyword in _ONE_BELOW:
        yield Subschema((keyword,), (ANY,), value)


def _of_map(keyword: str, value: Schema) -> Iterator[Subschema]:
    for name, inner in value.items():
        if not isinstance(inner, dict | bool):
            continue
        if keyword == "properties":
            yield Subschema((keyword, name), (name,), inner)
        elif keyword == "patternProperties":
            yield Subschema((keyword, name), (ANY,), inner)
        elif keyword == "dependentSchemas":
            yield Subschema((keyword, name), _HERE, inner)
        elif keyword in _STORES:
            yield Subschema((keyword, name), None, inner)


def _of_list(keyword: str, value: list[Any]) -> Iterator[Subschema]:
    steps = _HERE if keyword in _LIST_HERE else (ANY,) if keyword == "prefixItems" else None
    if steps is None:
        return
    for index, inner in enumerate(value):
        if isinstance(inner, dict | bool):
            yield Subschema((keyword, index), steps, inner)


class Place(NamedTuple):
    """A schema inside the plan: its file and JSON pointer."""

    file: str
    pointer: str


class BadReference(ValueError):
    """A reference that leads nowhere, or out of the plan; the text says how to write it."""


class TooMuch(ValueError):
    """A schema that cannot be unfolded within the bounds."""


class SchemaIndex:
    """Every schema of a plan by its place, with the references between them."""

    def __init__(self, documents: Mapping[str, Schema]) -> None:
        self.schemas: dict[Place, Schema | bool] = {}
        self._anchors: dict[tuple[str, str], Place] = {}
        self._costs: dict[Place, tuple[int, int]] = {}
        for file, document in documents.items():
            self._add(file, document)

    def _add(self, file: str, document: Schema) -> None:
        for place, schema in places(file, document):
            self.schemas[place] = schema
            if isinstance(schema, dict) and isinstance(schema.get("$anchor"), str):
                self._anchors[file, schema["$anchor"]] = place

    def target(self, file: str, reference: str) -> Place:
        """
        Find the schema that a reference inside a file leads to.

        Raises:
            BadReference: It leads out of the plan, or to no schema.
        """
        path, _, fragment = reference.partition("#")
        if path and not TYPE_FILE.fullmatch(path):
            raise BadReference(
                f"{reference!r} leads out of the plan; write #/$defs/<name>, or types/<name>.json, "
                "relative to the plan's root"
            )
        home = path or file
        place = self._place(home, unquote(fragment))
        if place is None or place not in self.schemas:
            what = f"no file {home}" if Place(home, "") not in self.schemas else f"no schema there in {home}"
            raise BadReference(f"{reference!r} leads nowhere: the plan has {what}")
        return place

    def _place(self, file: str, fragment: str) -> Place | None:
        if not fragment or fragment.startswith("/"):
            return Place(file, fragment)
        return self._anchors.get((file, fragment))

    def below(self, place: Place) -> Iterator[tuple[Place, tuple[Step, ...]]]:
        """Yield the schemas that a schema consults, references included, with the part each one judges."""
        schema = self.schemas[place]
        if isinstance(schema, bool):
            return
        for inner in subschemas(schema):
            if inner.steps is not None:
                yield Place(place.file, place.pointer + pointer(*inner.tokens)), inner.steps
        if isinstance(schema.get("$ref"), str):
            yield self.target(place.file, schema["$ref"]), _HERE

    def measure(self, root: Place) -> tuple[int, int]:
        """
        Tell how large a schema is with all its references unfolded.

        Returns:
            Nodes of the tree, and its height.

        Raises:
            TooMuch: References run in a circle, or the tree is beyond the bounds.
            BadReference: A reference in it cannot be followed.
        """
        return self._measure(root, {})

    def _measure(self, place: Place, above: dict[Place, None]) -> tuple[int, int]:
        if place in self._costs:
            return self._costs[place]
        if place in above:
            raise TooMuch("refers to itself; a plan's schemas must end somewhere")
        if len(above) >= UNFOLDED_DEPTH_MAX:
            raise TooMuch(_TOO_DEEP)
        above[place] = None
        nodes, height = 1, 1
        for child, _ in self.below(place):
            child_nodes, child_height = self._measure(child, above)
            nodes, height = nodes + child_nodes, max(height, child_height + 1)
        del above[place]
        if nodes > UNFOLDED_NODES_MAX:
            raise TooMuch(f"is more than {UNFOLDED_NODES_MAX:,} schemas with its references unfolded")
        if height > UNFOLDED_DEPTH_MAX:
            raise TooMuch(_TOO_DEEP)
        self._costs[place] = (nodes, height)
        return nodes, height

    def unfold(self, root: Place) -> Iterator[tuple[tuple[Step, ...], Place]]:
        """Yield every schema that can judge a part of an event, with the path to that part; measure it first."""
        stack: list[tuple[tuple[Step, ...], Place]] = [((), root)]
        while stack:
            path, place = stack.pop()
            yield path, place
            stack += [(path + steps, child) for child, steps in self.below(place)]


def places(file: str, document: Schema) -> Iterator[tuple[Place, Schema | bool]]:
    """Yield every schema in a document with its place, the document itself first."""
    stack: list[tuple[str, Schema | bool]] = [("", document)]
    while stack:
        at, schema = stack.pop()
        yield Place(file, at), schema
        if isinstance(schema, dict):
            stack += [(at + pointer(*inner.tokens), inner.schema) for inner in subschemas(schema)]


def copy_json(value: Any) -> Any:
    """Copy a JSON value, down to its last list."""
    if isinstance(value, dict):
        return {name: copy_json(inner) for name, inner in value.items()}
    return [copy_json(inner) for inner in value] if isinstance(value, list) else value
