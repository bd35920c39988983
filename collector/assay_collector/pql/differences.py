"""What a new version says otherwise than the one before it, in words."""

from collections.abc import Iterator, Mapping
from typing import Any

from assay.contract.display import visible
from assay_collector.pql.definition import Definition

# Examples are not part of what a definition says of anybody.
_LEFT_OUT = frozenset({"tests"})


def differences(before: Definition | None, after: Definition) -> tuple[str, ...]:
    """
    One line for everything that stands in one of them only, or otherwise: ``qualify.tasks: at least 3 -> at least 4``.

    Order, layout and comments do not show.

    Args:
        before: None: there is none, so that nothing can differ.
    """
    if before is None:
        return ()
    old, new = dict(_leaves(before.document)), dict(_leaves(after.document))
    lines = [
        _line(path, old.get(path), new.get(path)) for path in sorted({*old, *new}) if old.get(path) != new.get(path)
    ]
    if before.hash != after.hash and not lines:
        lines = ["the project: time zone, lists of values or exclusion lists"]
    return tuple(visible(line) for line in lines)


def _line(path: str, old: str | None, new: str | None) -> str:
    if old is None:
        return f"{path}: {new} (added)"
    return f"{path}: {old} (removed)" if new is None else f"{path}: {old} -> {new}"


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every scalar with its dotted path; a list of scalars is one value."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if path or key not in _LEFT_OUT:
                yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and any(isinstance(inner, Mapping | list) for inner in value):
        for index, inner in enumerate(value, 1):
            yield from _leaves(inner, f"{path}[{index}]")
    else:
        yield path, _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_plain, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)
