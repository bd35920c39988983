"""Which changes between two versions of a schema break events that used to fit, as far as can plainly be told."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from assay.contract.display import pointer, show_json
from assay.contract.subschemas import Place, Schema, SchemaIndex

# Where (a pointer; a keyword inside of one schema), and what.
_Change = tuple[str, str]

_ALL_TYPES: Final = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})

# Keyword -> whether going from the first value to the second shuts something out.
_LIMITS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "minimum": lambda old, new: new > old,
    "exclusiveMinimum": lambda old, new: new > old,
    "minLength": lambda old, new: new > old,
    "minItems": lambda old, new: new > old,
    "minProperties": lambda old, new: new > old,
    "maximum": lambda old, new: new < old,
    "exclusiveMaximum": lambda old, new: new < old,
    "maxLength": lambda old, new: new < old,
    "maxItems": lambda old, new: new < old,
    "maxProperties": lambda old, new: new < old,
    "pattern": lambda old, new: new != old,
    "format": lambda old, new: new != old,
    "multipleOf": lambda old, new: new != old,
}


def breaking_changes(index: SchemaIndex, old: Place, new: Place) -> Iterator[_Change]:
    """
    Yield the changes that break.

    Only what can plainly be read is compared: properties, required names, types, values, limits and items, through
    references. Combinations (allOf, anyOf, ...) are not looked into, so silence is no proof.

    Returns:
        JSON pointer into the new document, and what changed; behind a reference into another file, the pointer is
        that of the reference.
    """
    return _Comparison(index, new.file).compare(old, new, new.pointer)


@dataclass(frozen=True, slots=True)
class _Comparison:
    index: SchemaIndex
    # The new document: pointers are into it.
    file: str

    def compare(self, old: Place, new: Place, at: str) -> Iterator[_Change]:
        was, before = _resolve(self.index, old)
        now, after = _resolve(self.index, new)
        at = self._here(now, self._here(new, at))
        if was == now or before is False or after is True:
            return
        if after is False:
            yield at, "allows nothing any more"
            return
        before = before if isinstance(before, dict) else {}
        for keyword, message in (
            *_narrowed_types(before, after),
            *_narrowed_values(before, after),
            *_tightened_limits(before, after),
            *_required_names(before, after),
            *_closed(before, after),
        ):
            yield self._here(_inside(now, keyword), at), message
        yield from self._compare_properties(was, before, now, after, at)
        if "items" in before and "items" in after:
            yield from self.compare(_inside(was, "items"), _inside(now, "items"), at)

    def _here(self, place: Place, otherwise: str) -> str:
        return place.pointer if place.file == self.file else otherwise

    def _compare_properties(self, was: Place, before: Schema, now: Place, after: Schema, at: str) -> Iterator[_Change]:
        kept = after.get("properties", {})
        for name in before.get("properties", {}):
            if name in kept:
                tokens = ("properties", name)
                yield from self.compare(_inside(was, *tokens), _inside(now, *tokens), at)
            else:
                yield self._here(_inside(now, "properties"), at), f"no longer has the property {show_json(name)}"


def _resolve(index: SchemaIndex, place: Place) -> tuple[Place, Schema | bool]:
    schema = index.schemas[place]
    # Keywords beside a reference say something too; then the schema is compared as it stands.
    while isinstance(schema, dict) and set(schema) - {"title", "description", "x-pii", "$comment"} == {"$ref"}:
        place = index.target(place.file, schema["$ref"])
        schema = index.schemas[place]
    return place, schema


def _narrowed_types(before: Schema, after: Schema) -> Iterator[_Change]:
    lost = _types(before) - _types(after)
    if lost and "type" in after:
        named = ", ".join(sorted(lost)) if "type" in before else "any other type"
        yield "type", f"no longer allows {named}"


def _types(schema: Schema) -> frozenset[str]:
    declared = schema.get("type", _ALL_TYPES)
    types = {declared} if isinstance(declared, str) else set(declared)
    return frozenset(types | {"integer"}) if "number" in types else frozenset(types)


def _narrowed_values(before: Schema, after: Schema) -> Iterator[_Change]:
    keyword = "enum" if "enum" in after else "const"
    if keyword not in after:
        return
    old, new = _values(before), _values(after) or []
    if old is None:
        yield keyword, f"now allows only {show_json(after[keyword])}"
        return
    lost = [value for value in old if value not in new]
    if lost:
        yield keyword, f"no longer allows {show_json(lost)}"


def _values(schema: Schema) -> list[str] | None:
    """Write the listed values as JSON, for Python takes 1 and true for equal."""
    values = schema["enum"] if "enum" in schema else [schema["const"]] if "const" in schema else None
    return None if values is None else [show_json(value) for value in values]


def _tightened_limits(before: Schema, after: Schema) -> Iterator[_Change]:
    for keyword, is_tighter in _LIMITS.items():
        if keyword not in after:
            continue
        if keyword not in before:
            yield keyword, f"now asks for {keyword} {show_json(after[keyword])}"
        elif is_tighter(before[keyword], after[keyword]):
            yield keyword, f"{keyword} went from {show_json(before[keyword])} to {show_json(after[keyword])}"


def _required_names(before: Schema, after: Schema) -> Iterator[_Change]:
    known = before.get("required", ())
    for name in after.get("required", ()):
        if name not in known:
            yield "required", f"now requires {show_json(name)}"


def _closed(before: Schema, after: Schema) -> Iterator[_Change]:
    if before.get("additionalProperties", True) is not False and after.get("additionalProperties", True) is False:
        yield "additionalProperties", "no longer lets other properties pass"


def _inside(place: Place, *tokens: str) -> Place:
    return Place(place.file, place.pointer + pointer(*tokens))
