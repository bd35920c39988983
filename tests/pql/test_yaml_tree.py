"""YAML as definitions need it: plain values with positions, and nothing that surprises."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay_collector.pql.yaml_tree import (
    CHARACTERS_MAX,
    DEPTH_MAX,
    Position,
    Slip,
    UnreadableYaml,
    read_yaml,
    walk,
)


def value(text: str) -> object:
    (tree,) = read_yaml(text)
    return tree.value


def slips(text: str) -> tuple[Slip, ...]:
    with pytest.raises(UnreadableYaml) as caught:
        read_yaml(text)
    return caught.value.slips


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("3", 3),
        ("-3", -3),
        ("+3", 3),
        ("0", 0),
        ("1.50", 1.5),
        ("1e3", 1000.0),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("'3'", "3"),
        ('"true"', "true"),
    ],
)
def test_the_scalars_of_yaml_1_2_are_values(written: str, read: object):
    """Numbers, true, false and null are values; quotes make them text."""
    assert {"a": read} == value(f"a: {written}")


TEXTS = """
    yes no on off y 10m 48h 40% 12:30 1:30:00 2026-03-01 2026-03-01T09:00Z
    0x1F 0o17 007 1_000 1.2.3 .5 1. .nan .inf <<
"""


@pytest.mark.parametrize("written", TEXTS.split())
def test_everything_else_is_text(written: str):
    """No sexagesimal numbers, no yes and no, no dates; an id with a leading zero keeps it."""
    assert {"a": written} == value(f"a: {written}")
    assert [written] == value(f"[{written}]")


def test_keys_are_text():
    """A key is never a number or a flag."""
    assert {"1": "a", "true": "b", "null": "c"} == value("{1: a, true: b, null: c}")


def test_every_value_and_key_has_a_position():
    """Lines and columns count from 1."""
    (tree,) = read_yaml("a: 1\nb:\n  - x\n  - {c: 22}\n")

    assert Position(1, 4) == tree.at(("a",))
    assert Position(2, 1) == tree.at_key(("b",))
    assert Position(4, 9) == tree.at(("b", 1, "c"))
    assert Position(4, 6) == tree.at_key(("b", 1, "c"))


def test_a_path_that_is_not_there_has_its_parents_position():
    """What is missing is missing somewhere."""
    (tree,) = read_yaml("a: 1\nb: {c: 22}\n")

    assert Position(2, 4) == tree.at(("b", "d", "e"))
    assert Position(1, 1) == tree.at_key(("z",))


def test_a_file_may_hold_several_documents():
    """Each has its own values; a file of comments has none."""
    assert [{"a": 1}, {"a": 2}] == [tree.value for tree in read_yaml("a: 1\n---\na: 2\n")]
    assert () == read_yaml("# nothing yet\n")


@pytest.mark.parametrize(
    ("text", "slip"),
    [
        ("a: 1\nb: 2\na: 3", Slip(Position(3, 1), "the key `a` is here twice; the first is on line 1")),
        ("a: &x 1", Slip(Position(1, 4), "the anchor &x is refused; write the value out where it is needed")),
        ("a: *x", Slip(Position(1, 4), "the alias *x is refused; write the value out")),
        ("? [a]\n: b", Slip(Position(1, 3), "a key must be plain text, not a mapping or list")),
        ("a: " + 19 * "9", Slip(Position(1, 4), "a number of more than 18 digits; put it in quotes if it is text")),
        (
            "a: 0.1234567890123456",
            Slip(Position(1, 4), "a number of more than 15 digits; put it in quotes if it is text"),
        ),
        ("%YAML 1.1\n---\na: 1", Slip(Position(1, 1), "directives (%YAML, %TAG) are not used here; remove the line")),
        ("a: x\0", Slip(Position(1, 5), "the character U+0000 is not allowed in a definition")),
        ("a: 1\nb: \ud800", Slip(Position(2, 4), "the character U+D800 is not allowed in a definition")),
    ],
    ids=["twice", "anchor", "alias", "complex key", "long integer", "long decimal", "directive", "NUL", "surrogate"],
)
def test_what_is_refused_is_refused_with_its_place(text: str, slip: Slip):
    """Each refusal says where, and what to do."""
    assert (slip,) == slips(text)


@pytest.mark.parametrize("tag", ["!!int", "!!python/object/apply:os.system", "!mine", "!"])
def test_tags_are_refused(tag: str):
    """No tag has any effect, whatever it names."""
    (slip,) = slips(f"a: {tag} '3'")
    assert "is refused" in slip.message


def test_all_slips_are_told_at_once():
    """Reading goes on after a slip that leaves the rest readable."""
    assert [1, 2, 3] == [slip.position.line for slip in slips("a: &x 1\na: 2\nb: !!str 3\n")]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("why: First: second", "needs quotes"),
        ("a: 1\n\tb: 2", "spaces, never with tabs"),
        ("a: @x", "starts with @"),
        ("a: [1, 2", "not YAML"),
        ("a: 'x", "not YAML"),
    ],
)
def test_a_syntax_error_says_what_to_do(text: str, hint: str):
    """The parser's own words are followed by ours."""
    assert hint in slips(text)[-1].message


@pytest.mark.parametrize("text", ["[" * 10_000, "{a: " * 10_000, "- " * 10_000, "? " * 10_000])
def test_a_deep_file_is_refused_before_it_is_read(text: str):
    """Depth costs nothing: reading stops at the bound."""
    (slip,) = slips(text)
    assert slip.position.line == 1
    assert slip.position.column <= 5 * DEPTH_MAX


def test_a_bomb_does_not_go_off():
    """Without aliases nothing can multiply."""
    bomb = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    assert slips(bomb)


def test_a_long_file_is_refused():
    """A megabyte of text in one scalar is no definition."""
    assert (Slip(Position(1, 1), f"the file is longer than {CHARACTERS_MAX:,} characters"),) == slips(
        "why: " + "x" * 1_000_000
    )


def test_a_byte_order_mark_is_ignored():
    """Some editors write one."""
    (tree,) = read_yaml("\ufeffa: 1")
    assert {"a": 1} == tree.value
    assert Position(1, 4) == tree.at(("a",))


@given(st.text(max_size=200) | st.text("-:{}[]&*!? \n\t'\"|>#%@a1", max_size=60))
def test_no_text_does_harm(text: str):
    """Whatever the text: trees whose every value has a position, or slips within the text."""
    lines = text.count("\n") + text.count("\r") + text.count("\x85") + text.count("\u2028") + text.count("\u2029") + 1
    try:
        trees = read_yaml(text)
    except UnreadableYaml as unreadable:
        positions = [slip.position for slip in unreadable.slips]
        trees = ()
    else:
        positions = [position for tree in trees for position in tree.values.values()]
    assert all(1 <= position.line <= lines + 1 for position in positions)
    for tree in trees:
        assert all(path in tree.values for path, _ in walk(tree.value))
