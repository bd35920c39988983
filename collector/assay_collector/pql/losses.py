"""Which criteria a verdict lost, and why: what stands on record when consent takes a verdict back. Pure."""

from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]


def losses(before: Json, after: Json, because: str) -> Json:
    """
    The audit row of a verdict that is taken back.

    Args:
        before: The evidence that the verdict was recorded with.
        after: The same criteria's evidence at the same instant, from what may still be used.
        because: What took it away, such as ``consent``.

    Returns:
        ``lost``: every criterion that held and holds no more, with both values; ``because``. It quotes nothing else.
    """
    held = {_key(leaf): leaf for leaf in _criteria(before) if leaf["holds"] is True}
    holds = {_key(leaf): leaf for leaf in _criteria(after)}
    lost = [
        {"criterion": leaf["name"], "test": leaf["test"], "was": leaf["value"], "is": holds.get(key, {}).get("value")}
        for key, leaf in held.items()
        if holds.get(key, {}).get("holds") is not True
    ]
    return {"lost": lost, "because": because}


def losses_in_words(evidence: Json) -> str:
    """``criterion lost: consent (tasks at least 3: was 3, is 0)``; empty for what is no such row."""
    if "lost" not in evidence:
        return ""
    parts = [
        f"{row['criterion']} {row['test']}: was {row['was']}, is {'unknown' if row['is'] is None else row['is']}"
        for row in evidence["lost"]
    ]
    return f"criterion lost: {evidence['because']}" + (f" ({'; '.join(parts)})" if parts else "")


def _key(leaf: Json) -> tuple[str, str]:
    return leaf["name"], str(leaf["test"])


def _criteria(tree: Any) -> Iterator[Json]:
    """The leaves of an evidence tree, wherever they stand."""
    if isinstance(tree, list):
        for part in tree:
            yield from _criteria(part)
    elif isinstance(tree, dict):
        if {"name", "value", "test", "holds"} <= tree.keys():
            yield tree
        for key in ("qualify", "eligible", "all", "any", "of", "not", "items"):
            yield from _criteria(tree.get(key))
