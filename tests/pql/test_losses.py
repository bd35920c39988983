"""What a verdict lost: told by criterion, with both values, and nothing that still holds."""

from typing import Any

import pytest

from assay_collector.pql.losses import losses, losses_in_words


def leaf(name: str, value: Any, holds: bool | None, test: str = "at least 3") -> dict[str, Any]:
    return {"name": name, "value": value, "test": test, "holds": holds}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (leaf("tasks", 3, True), leaf("tasks", 0, False), (3, 0)),
        (leaf("tasks", 3, True), leaf("tasks", None, None), (3, None)),
        (leaf("tasks", 3, True), {}, (3, None)),
        (leaf("tasks", 3, True), leaf("tasks", 9, True, "at least 9"), (3, None)),
        (leaf("tasks", 3, True), leaf("tasks", 4, True), None),
        (leaf("tasks", 3, False), leaf("tasks", 0, False), None),
        (leaf("tasks", None, None), leaf("tasks", 0, False), None),
    ],
)
def test_lost_is_what_held_and_holds_no_more(before: Any, after: Any, expected: tuple[Any, Any] | None):
    """The same test of the same name, whether it is false now, unknown, or not there at all."""
    told_of = losses({"qualify": before}, {"qualify": after}, "consent")

    told = [{"criterion": "tasks", "test": "at least 3", "was": expected[0], "is": expected[1]}] if expected else []
    assert {"lost": told, "because": "consent"} == told_of


def test_criteria_are_found_wherever_they_stand():
    """In `eligible`, under `not`, in every kind of list, and among the items of a score, in the order of the file."""
    parts = [leaf(f"c{n}", n, True) for n in range(7)]
    score = {**parts[5], "items": [{"points": 5, "when": parts[6], "holds": True}, {"points": 1, "each": "x"}]}
    tree = {
        "qualify": {
            "all": [parts[0], {"any": [parts[1]], "holds": True}, {"not": parts[2], "holds": True}],
            "holds": True,
        },
        "eligible": {"atLeast": 1, "of": [parts[3], parts[4]], "holds": True},
        "exit": leaf("left", 1, True),
        "score": 7,
    }

    assert ["c0", "c1", "c2", "c3", "c4"] == [row["criterion"] for row in losses(tree, {}, "consent")["lost"]]
    assert ["c5"] == [row["criterion"] for row in losses({"qualify": {"items": [score]}}, {}, "consent")["lost"]]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], "criterion lost: consent"),
        ([("tasks", 3, 0)], "criterion lost: consent (tasks at least 3: was 3, is 0)"),
        (
            [("tasks", 3, None), ("seats", 5, 1)],
            "criterion lost: consent (tasks at least 3: was 3, is unknown; seats at least 3: was 5, is 1)",
        ),
    ],
)
def test_losses_are_said_in_one_line(rows: list[tuple[str, Any, Any]], expected: str):
    """What is not there any more is unknown."""
    lost = [{"criterion": name, "test": "at least 3", "was": was, "is": now} for name, was, now in rows]

    assert expected == losses_in_words({"lost": lost, "because": "consent"})


def test_evidence_of_any_other_step_says_nothing_of_losses():
    """It has none."""
    assert "" == losses_in_words({"qualified": True})
