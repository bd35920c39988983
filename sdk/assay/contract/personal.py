"""Which parts of an event the plan marks as personal data, and what may therefore be shown of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from assay.contract.display import pointer, shorten, visible
from assay.contract.subschemas import ANY, Place, SchemaIndex, Step

PII_CLASSES = ("email", "name", "phone", "address", "ip", "id", "free_text", "other")


@dataclass(frozen=True, slots=True)
class PersonalData:
    """
    The marks of one event's schema.

    A mark counts wherever it stands: beside a property, in a referenced type, in any branch of a combination,
    whether or not that branch applies to the event at hand. In doubt a value is hidden.
    """

    # Path to a marked part -> its class.
    marks: Mapping[tuple[Step, ...], str]
    # Names the plan itself gives to properties; only these are safe to repeat below a mark. None: every name is.
    planned_names: frozenset[str] | None

    @classmethod
    def of_schema(cls, index: SchemaIndex, root: Place) -> "PersonalData":
        """Collect the marks of a schema that has been measured."""
        marks: dict[tuple[Step, ...], str] = {}
        names: set[str] = set()
        for path, place in index.unfold(root):
            schema = index.schemas[place]
            names.update(step for step in path if step is not None)
            if isinstance(schema, dict) and "x-pii" in schema:
                marks.setdefault(path, str(schema["x-pii"]))
        return cls(marks, frozenset(names))

    def hides(self, path: Sequence[str | int]) -> bool:
        """Tell whether the value at this path is, contains or lies within personal data."""
        return any(_meet(mark, path) for mark in self.marks)

    def pointer(self, path: Sequence[str | int]) -> str:
        """Write a path so that no name in it can be personal data, or harm a terminal."""
        return pointer(*(self._token(path, depth) for depth in range(len(path))))

    def templates(self) -> dict[str, str]:
        """Write the marks as JSON pointers, with ``*`` for any property or item."""
        return {pointer(*("*" if step is None else step for step in mark)): kind for mark, kind in self.marks.items()}

    def _token(self, path: Sequence[str | int], depth: int) -> str | int:
        token = path[depth]
        if isinstance(token, int) or self.planned_names is None or token in self.planned_names:
            return token
        # A name that the plan does not give, at a marked place, is data: {"contacts": {"ann@example.com": ...}}.
        return "*" if self._names_are_data(path[: depth + 1]) else shorten(visible(token))

    def _names_are_data(self, path: Sequence[str | int]) -> bool:
        return any(_meet(mark, path) for mark in self.marks if len(mark) <= len(path) or mark[len(path) - 1] is ANY)


def _meet(mark: Iterable[Step], path: Iterable[str | int]) -> bool:
    return all(step is ANY or step == token for step, token in zip(mark, path, strict=False))
