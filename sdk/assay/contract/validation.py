"""
Whether an event fits its schema, and if not, why.

Two libraries share the work: jsonschema-rs gives the verdict on the hot path, jsonschema explains a failure.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from assay.contract.compiling import TypeLibrary, compile_schema, rooted
from assay.contract.display import kind_of
from assay.contract.personal import PersonalData
from assay.contract.subschemas import Schema
from assay.contract.violations import VIOLATIONS_MAX, Violation

if TYPE_CHECKING:
    from assay.contract.explanation import Explainer

# Beyond this size the slower explanation would cost a collector more than the event is worth.
EXPLAINED_VALUES_MAX = 2_000
# Far deeper than any schema looks, and no deeper than Python can print.
EXPLAINED_DEPTH_MAX = 200
# No event has so many; the walk over an instance that contains itself ends here.
VALUES_MAX = 200_000


class EventValidator:
    """One schema, compiled; it never raises, whatever the instance."""

    def __init__(self, schema: Schema, library: TypeLibrary, personal: PersonalData) -> None:
        """
        Compile a schema that the plan's checks have accepted.

        Raises:
            ValueError: jsonschema-rs cannot compile it all the same.
        """
        self._schema = rooted(schema)
        self._library = library
        self._personal = personal
        self._compiled = compile_schema(self._schema, library.registry)
        # For the hot path: may raise on what is no JSON.
        self.is_valid_unguarded: Callable[[Any], bool] = self._compiled.is_valid

    def is_valid(self, instance: object) -> bool:
        """Tell whether the instance fits; what JSON cannot express does not fit."""
        try:
            return self.is_valid_unguarded(instance)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # noqa: BLE001 - a panic in the library derives from BaseException
            return False

    def explain(self, instance: object) -> tuple[Violation, ...]:
        """
        Say why an instance does not fit.

        Returns:
            At least one violation if ``is_valid`` is False, else none; at most VIOLATIONS_MAX.
        """
        if self.is_valid(instance):
            return ()
        survey = _survey(instance)
        found = [Violation(self._personal.pointer(path), "json", "JSON", text) for path, text in survey.slips]
        if survey.values <= EXPLAINED_VALUES_MAX:
            found += self._explainer.violations(instance)
        if not found:
            found += self._explainer.violations_by_verdict(self._compiled, instance)
        return tuple(found[:VIOLATIONS_MAX]) or (_UNEXPLAINED,)

    @cached_property
    def _explainer(self) -> "Explainer":
        # jsonschema takes tens of milliseconds to import, and most processes never need it.
        from assay.contract.explanation import Explainer

        return Explainer(self._schema, self._library.types, self._personal)


_UNEXPLAINED = Violation(
    "", "schema", "", "does not fit its schema by the verdict, and the explanation finds no rule that it breaks"
)


@dataclass(frozen=True, slots=True)
class _Survey:
    """What a walk over an instance met."""

    values: int
    slips: list[tuple[tuple[str | int, ...], str]]


def _survey(instance: object) -> _Survey:
    """Count an instance's values, and find what JSON cannot express; without recursion, so any depth will do."""
    stack: list[_Node] = [_Node(None, "", 0, instance)]
    slips: list[tuple[tuple[str | int, ...], str]] = []
    values, is_deep = 0, False
    while stack and values < VALUES_MAX and len(slips) < VIOLATIONS_MAX:
        node = stack.pop()
        values += 1
        slip = _slip(node.value)
        if slip:
            slips.append((node.path(), slip))
        if node.depth < EXPLAINED_DEPTH_MAX:
            stack += [_Node(node, token, node.depth + 1, child) for token, child in _children(node.value)]
        else:
            is_deep = is_deep or bool(_children(node.value))
    if is_deep:
        slips.append(((), f"is nested more than {EXPLAINED_DEPTH_MAX} levels deep"))
    return _Survey(values, slips)


class _Node(NamedTuple):
    """A value inside an instance; the path is made only where it is asked for."""

    above: "_Node | None"
    token: str | int
    depth: int
    value: object

    def path(self) -> tuple[str | int, ...]:
        tokens: list[str | int] = []
        node = self
        while node.above is not None:
            tokens.append(node.token)
            node = node.above
        return tuple(reversed(tokens))


def _children(value: object) -> list[tuple[str | int, object]]:
    if isinstance(value, dict):
        return [(name, inner) for name, inner in value.items() if isinstance(name, str)]
    return list(enumerate(value)) if isinstance(value, list | tuple) else []


def _slip(value: object) -> str:
    if isinstance(value, str):
        return _surrogates("the text", value)
    if isinstance(value, dict):
        if not all(isinstance(name, str) for name in value):
            return "has a property whose name is no text"
        return next(filter(None, (_surrogates("a property's name", name) for name in value)), "")
    if value is None or isinstance(value, bool | int | float | list | tuple):
        return ""
    return f"is {kind_of(value)}"


def _surrogates(what: str, text: str) -> str:
    if text.isascii():
        return ""
    try:
        text.encode()
    except UnicodeEncodeError:
        return f"{what} holds half of a surrogate pair, which UTF-8 cannot carry"
    return ""
