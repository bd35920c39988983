"""The Register port's promises, kept by every adapter."""

from typing import Any

import pytest

from assay_collector.store import RegisterMoved, Store, Version, VersionChange
from builders import NOW


def version(content: str = "c1", **fields: Any) -> Version:
    return Version(
        **{
            "content": content,
            "id": "habit",
            "version": 1,
            "hash": "h1",
            "status": "active",
            "since": NOW,
            "lineage": (("c0", NOW - 1),),
            "file": "habit.yaml",
            "text": "pql: ünïcode",
            "project": "",
            **fields,
        }
    )


def change(content: str = "c1", **fields: Any) -> VersionChange:
    return VersionChange(
        **{
            "id": "habit",
            "version": 1,
            "content": content,
            "change": "activated",
            "at": NOW,
            "actor": "ada",
            "note": "why not",
            **fields,
        }
    )


def test_what_is_recorded_is_found_again_whole(opened):
    """By every store on the same data, beside the one that wrote it."""
    store, beside = opened(), opened()
    second = change("c2", version=2, replaced="c1", replaced_version=1, diff=("a: 1 -> 2",), trend="splice")
    store.register.record([version(), version("c2", version=2)], [change(), second], revision=0)

    assert [version(), version("c2", version=2)] == beside.register.versions()
    assert [change(), second] == beside.register.history()


def test_the_revision_rises_with_every_change(store: Store):
    """So a collector need not read more than a number to know that nothing has changed."""
    assert 0 == store.register.revision()
    store.register.record([version()], [change()], revision=0)
    first = store.register.revision()
    store.register.record([version(status="retired")], [change(change="retired")], revision=first)

    assert 0 < first < store.register.revision()


def test_a_change_that_is_based_on_an_older_state_is_refused_whole(store: Store):
    """Two who decide at the same time do not overwrite each other."""
    store.register.record([version()], [change()], revision=0)

    with pytest.raises(RegisterMoved):
        store.register.record([version(status="retired")], [change(change="retired")], revision=0, files={"a": "b"})
    assert (["active"], 1, {}) == (
        [each.status for each in store.register.versions()],
        len(store.register.history()),
        store.register.files(),
    )


def test_of_a_known_version_only_what_became_of_it_changes(store: Store):
    """Its text stays what it was when it was first registered."""
    store.register.record([version()], [change()], revision=0)
    later = version(status="retired", since=NOW + 9, lineage=(), text="another")
    store.register.record([later], [], revision=store.register.revision())

    assert [version(status="retired", since=NOW + 9, lineage=())] == store.register.versions()


def test_one_definition_is_asked_for_by_its_id(store: Store):
    """Versions and changes alike."""
    other = {"id": "reach"}
    store.register.record([version(), version("c2", **other)], [change(), change("c2", **other)], revision=0)

    assert ["c2"] == [each.content for each in store.register.versions("reach")]
    assert ["c1"] == [each.content for each in store.register.history("habit")]
    assert [] == store.register.versions("nobody")


def test_what_the_folder_held_is_replaced_when_it_is_told(store: Store):
    """And left alone otherwise."""
    store.register.record([], [], revision=0, files={"a": "1", "b": "2"})
    store.register.record([], [], revision=0, files={"b": "3"})
    store.register.record([version()], [change()], revision=0)

    assert {"b": "3"} == store.register.files()
