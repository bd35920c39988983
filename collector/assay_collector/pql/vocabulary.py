"""What a tracking plan knows of events, their properties and the traits, as the linter asks for it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from assay.contract.plan import EventSchema, Plan
from assay.contract.subschemas import Place, SchemaIndex

# Below these a schema holds only for some values, so what it asks for is not the whole truth.
_ALTERNATIVES = ("anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas")


@dataclass
class Property:
    """What the versions of an event say of one property, taken together."""

    # Every value that some version allows; None if one of them does not say.
    values: set[str | int | float | bool] | None = field(default_factory=set)


class Vocabulary:
    """A plan's words."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    @cached_property
    def events(self) -> tuple[str, ...]:
        """Names of the track events."""
        return tuple(name for type_, name in self._plan.schemas if type_ == "track" and name is not None)

    def properties(self, event: str) -> Mapping[str, Property]:
        """The properties of a track event, by dotted path, of all its versions."""
        return self._described("track", event)

    @cached_property
    def properties_of_any(self) -> frozenset[str]:
        """The properties that at least one event has."""
        return frozenset(path for event in self.events for path in self.properties(event))

    def traits(self, kind: str) -> Mapping[str, Property] | None:
        """The traits of users or accounts; None if the plan does not describe them."""
        return self._described("identify" if kind == "user" else "group", None) or None

    def _described(self, type_: str, name: str | None) -> Mapping[str, Property]:
        known = self._cache.get((type_, name))
        if known is None:
            found: dict[str, Property] = {}
            for version in self._plan.schemas.get((type_, name), ()):
                self._add_version(found, version)
            known = self._cache[type_, name] = found
        return known

    @cached_property
    def _cache(self) -> dict[tuple[str, str | None], Mapping[str, Property]]:
        return {}

    @cached_property
    def _index(self) -> SchemaIndex:
        return SchemaIndex({file: json.loads(text) for file, text in self._plan.documents.items()})

    def _add_version(self, found: dict[str, Property], version: EventSchema) -> None:
        allowed: dict[str, set[Any] | None] = {}
        for steps, place in self._index.unfold(Place(version.file, "")):
            if not steps or None in steps:
                continue
            path = ".".join(str(step) for step in steps)
            values = self._values(place)
            # The first schema that lists the values decides; others only narrow it further.
            allowed[path] = values if allowed.get(path) is None else allowed[path]
        for path, values in allowed.items():
            known = found.setdefault(path, Property())
            known.values = None if values is None or known.values is None else known.values | values

    def _values(self, place: Place) -> set[Any] | None:
        schema = self._index.schemas[place]
        if isinstance(schema, bool) or set(place.pointer.split("/")) & set(_ALTERNATIVES):
            return None
        if "const" in schema:
            return _scalars([schema["const"]])
        if isinstance(schema.get("enum"), list):
            return _scalars(schema["enum"])
        return {True, False} if schema.get("type") == "boolean" else None


def _scalars(values: list[Any]) -> set[Any] | None:
    return {value for value in values if isinstance(value, str | int | float | bool)} or None
