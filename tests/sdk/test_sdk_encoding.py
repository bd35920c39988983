"""Every value becomes valid JSON by fixed rules, and nothing raises."""

import base64
import dataclasses
import enum
import fractions
import ipaddress
import json
import math
import time
import uuid
from collections import OrderedDict, UserDict, deque, namedtuple
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.encoding import DEPTH_MAX, encode, is_clean, sanitised


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Word(enum.StrEnum):
    YES = "yes"


@dataclasses.dataclass
class Task:
    title: str
    done: bool


class Secretive:
    def __repr__(self) -> str:
        return "secret"

    __str__ = __repr__


class Liar:
    @property
    def __class__(self) -> type:
        raise RuntimeError("no")


class RaisingMapping(UserDict):
    def items(self) -> Any:
        raise ValueError("secret")


class EndlessList(list):
    def __iter__(self) -> Any:
        while True:
            yield 1


class NamelessType(type):
    @property
    def __name__(cls) -> str:
        raise RuntimeError("no")


class Nameless(metaclass=NamelessType):
    pass


class RaisingInt(int):
    def __int__(self) -> int:
        raise ValueError

    __index__ = __int__


Point = namedtuple("Point", "x y")
IN_BERLIN = timezone(timedelta(hours=2))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (math.nan, None),
        (-math.inf, None),
        (b"\x00\xff", "AP8="),
        (bytearray(b"ab"), "YWI="),
        (memoryview(b"ab"), "YWI="),
        ("a\ud800b", "a\ufffdb"),
        ("\ud83d\ude00", "\U0001f600"),
        (datetime(2026, 3, 1, 12, 30, tzinfo=IN_BERLIN), "2026-03-01T10:30:00Z"),
        (datetime(2026, 3, 1, 12, 30), "2026-03-01T12:30:00Z"),
        (datetime(2026, 3, 1, 12, 30, 0, 5, tzinfo=UTC), "2026-03-01T12:30:00.000005Z"),
        (date(2026, 3, 1), "2026-03-01"),
        (timedelta(minutes=1, milliseconds=500), 60.5),
        (Decimal("19.99"), 19.99),
        (Decimal("20"), 20),
        (Decimal("2E+2"), 200.0),
        (Decimal("0.10000000000000000555"), "0.10000000000000000555"),
        (Decimal("1E+400"), "1E+400"),
        (Decimal("NaN"), None),
        (uuid.UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        (Word.YES, "yes"),
        ((1, "a"), [1, "a"]),
        (Point(1, 2), [1, 2]),
        (deque([1]), [1]),
        ({"b", "a"}, ["a", "b"]),
        (frozenset({2, 1}), [1, 2]),
        (OrderedDict(a=1), {"a": 1}),
        (UserDict(a=1), {"a": 1}),
        (Task("Write", True), {"title": "Write", "done": True}),
        (
            {7: "a", None: "b", 1.5: "d", Colour.RED: "e", (1,): "f"},
            {"7": "a", "null": "b", "1.5": "d", "red": "e", "<tuple>": "f"},
        ),
        ({True: "c"}, {"true": "c"}),
        (fractions.Fraction(1, 2), 0.5),
        (10**30, 10**30),
        (10**5000, "<too large>"),
        (Secretive(), "<Secretive>"),
        (Secretive, "<type>"),
        (ipaddress.ip_address("10.0.0.1"), "<IPv4Address>"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_kind_of_value_has_one_form(value, expected):
    """The table of rules in the module's docstring, row by row."""
    assert {"value": expected} == json.loads(encode({"value": value}))


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (Liar, "<Liar>"),
        (Nameless, "<Nameless>"),
        (RaisingMapping, "<unreadable RaisingMapping>"),
        (lambda: RaisingInt(5), 5),
        (lambda: datetime.min.replace(tzinfo=IN_BERLIN), "<unreadable datetime>"),
    ],
    ids=["liar", "nameless", "raising mapping", "raising int", "out of range"],
)
def test_an_object_that_fights_back_is_named_by_its_type(make, expected):
    """Its own methods are not trusted, and what they raise stays inside."""
    assert {"value": expected} == json.loads(encode({"value": make()}))


def test_a_container_inside_itself_is_named_a_cycle():
    """Also where it goes through a list and a tuple; the same container twice side by side is no cycle."""
    one: dict[str, Any] = {"n": 1}
    one["self"] = [(one,)]
    shared = {"x": 1}

    assert {"n": 1, "self": [["<cycle>"]]} == json.loads(encode(one))
    assert {"a": {"x": 1}, "b": [{"x": 1}]} == json.loads(encode({"a": shared, "b": (shared,)}))


@pytest.mark.parametrize("make", [lambda inner: {"d": inner}, lambda inner: [inner], lambda inner: (inner,)])
def test_depth_is_cut_at_the_same_level_whichever_way_it_goes(make):
    """DEPTH_MAX containers pass; what lies deeper is replaced, in clean data as in other data."""
    fits: Any = "bottom"
    for _ in range(DEPTH_MAX - 1):
        fits = make(fits)

    assert b"bottom" in encode({"value": fits})
    assert b'"<too deep>"' in encode({"value": make(fits)})
    assert b"bottom" not in encode({"value": make(fits)})


def test_shared_containers_that_multiply_end_soon():
    """Thirty levels of pairs would be a thousand million values; the walk stops when it is too large anyway."""
    bomb: Any = "x"
    for _ in range(30):
        bomb = [bomb, bomb]
    start = time.process_time()

    encoded = encode({"bomb": bomb, "odd": {1}})

    assert time.process_time() - start < 5
    assert len(encoded) > 32 * 1024
    assert encode({"endless": EndlessList([1])})


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
ODD = (
    SCALARS
    | st.text(st.characters(codec=None), max_size=5)
    | st.binary(max_size=9)
    | st.datetimes(timezones=st.none() | st.timezones())
    | st.dates()
    | st.times()
    | st.timedeltas()
    | st.decimals()
    | st.fractions()
    | st.complex_numbers()
    | st.uuids()
    | st.sampled_from([Colour.RED, Level.HIGH, Word.YES, Task("t", False), Secretive(), object])
    | st.builds(RaisingMapping)
    | st.builds(iter, st.lists(st.integers()))
)
NASTY = st.recursive(
    ODD,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text() | st.integers() | st.floats() | st.none() | st.binary(), inner, max_size=4)
        | st.frozensets(st.text() | st.integers() | st.binary(), max_size=4)
    ),
    max_leaves=25,
)
CLEAN = st.dictionaries(
    st.text(),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=15,
    ),
)


@given(NASTY)
def test_anything_becomes_valid_json_in_utf_8(value):
    """No value raises, and a strict reader reads what comes out: no NaN, no lone surrogate."""
    encoded = encode({"value": value})

    assert json.loads(encoded.decode("utf-8"), parse_constant=pytest.fail).keys() == {"value"}
    assert b"secret" not in encoded


@given(CLEAN)
def test_the_quick_way_and_the_long_way_give_the_same_bytes(value):
    """Clean data that goes straight to msgspec is written as the rules would write it."""
    assert is_clean(value)
    assert encode(value) == msgspec.json.encode(sanitised(value))


@given(st.binary())
def test_bytes_come_back_from_their_text(data):
    """Base64 in its common alphabet, with padding."""
    assert data == base64.b64decode(json.loads(encode({"data": data}))["data"], validate=True)
