"""What real clients send is read leniently into one form, and nothing that is sent does harm."""

import contextlib
import json
import math
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.contract.messages import MESSAGE_TYPES, Event, Rejection
from assay.contract.reading import (
    CLOCK_TOLERANCE,
    DEPTH_MAX,
    EVENT_BYTES_MAX,
    FUTURE_TOLERANCE,
    Arrival,
    UnreadableBody,
    event_time,
    open_envelope,
    read_item,
)
from assay.contract.times import HOUR, INSTANT_MAX, INSTANT_MIN, SECOND, format_instant, parse_instant
from builders import NOW, encoded, message, read, read_event, refused
from strategies import good_messages, messages, scalars, texts, values


def opened(body: object, type: Any = None) -> Any:
    return open_envelope(encoded(body), type)


def items(body: object) -> list[bytes]:
    return [bytes(memoryview(item)) for item in opened(body).items]


def all_texts(value: object) -> Iterator[str]:
    """Every string of a value, keys too."""
    if isinstance(value, str):
        yield value
    for inner in value.items() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ():
        yield from all_texts(inner)


# --- the envelope ---


def test_a_batch_is_opened_without_looking_into_its_messages():
    """The key, the time and the context are the batch's; the messages stay as they came."""
    envelope = opened({"batch": [{"a": 1}, 7], "writeKey": "k", "sentAt": "t", "context": {"ip": "::1"}})

    assert (None, "k", "t", {"ip": "::1"}) == (envelope.type, envelope.write_key, envelope.sent_at, envelope.context)
    assert [b'{"a": 1}', b"7"] == [bytes(memoryview(item)) for item in envelope.items]


def test_a_single_message_is_its_own_envelope():
    """The path says the type; the key stands in the message."""
    envelope = opened(b'{"event":"x","writeKey":"k"}', "track")

    assert ("track", "k", (b'{"event":"x","writeKey":"k"}',)) == (envelope.type, envelope.write_key, envelope.items)


@pytest.mark.parametrize("type", [None, "track"])
def test_a_byte_order_mark_is_nothing(type):
    """Windows clients begin with one."""
    assert "k" == opened(b'\xef\xbb\xbf{"batch":[],"writeKey":"k"}', type).write_key


def test_of_duplicate_keys_the_last_counts():
    """As every JSON reader in the field has it, also when damage makes us split the body ourselves."""
    assert [b"2"] == items(b'{"batch":[1],"batch":[2]}')
    assert [b"2", b"NaN"] == items(b'{"batch":[1],"batch":[2,NaN]}')


@pytest.mark.parametrize("key", ["null", '""', "true", "[]", "{}"])
def test_a_key_that_is_no_text_is_no_key(key):
    """An absent key, in whatever form, leaves it to the Authorization header."""
    assert opened(f'{{"batch":[],"writeKey":{key}}}'.encode()).write_key is None
    assert opened(f'{{"batch":[NaN],"writeKey":{key}}}'.encode()).write_key is None
    assert opened(f'{{"event":NaN,"writeKey":{key}}}'.encode(), "track").write_key is None


@pytest.mark.parametrize(
    ("body", "code"),
    [
        *[(body, "invalid_json") for body in (b"", b" ", b"{", b"[]", b"7", b'"x"', b"null", b"\xff\xfe{\x00}\x00")],
        *[
            (body, "invalid_json")
            for body in (b'{"batch":[', b'{"batch":[{}', b'{"batch":[{}]', b'{"batch":[}', b"{]}")
        ],
        *[(body, "invalid_json") for body in (b'{"batch":[{"a":"}]}', b'{"batch":["\\"}', b'{"a"}', b"{batch:[]}")],
        *[(body, "invalid_batch") for body in (b"{}", b'{"batch":null}', b'{"batch":{}}', b'{"batch":"[]"}')],
    ],
)
def test_a_body_of_which_nothing_can_be_used_is_refused(body, code):
    """No JSON object, cut off, or no list of messages."""
    with pytest.raises(UnreadableBody) as caught:
        opened(body)

    assert code == caught.value.code


@pytest.mark.parametrize("body", [b"", b"[]", b"7", b'{"event":"x"', b'{"event":}}', b'{"event":"x}'])
def test_a_single_message_that_is_cut_off_is_refused(body):
    """The same for the paths that take one message."""
    with pytest.raises(UnreadableBody):
        opened(body, "track")


def test_damage_in_the_batch_stays_where_it_is():
    """Bare NaN, a lone surrogate, broken UTF-8 and nonsense cost only their own message."""
    damaged = [b"NaN", b'{"a":Infinity}', b'{"a":"\\ud800"}', b'{"a":"\xff"}', b"x y", b'{"a" 1}', b"{1:2}", b"1e400"]

    assert [b"1", *damaged, b"2"] == items(b'{"batch":[1,' + b",".join(damaged) + b",2]}")


def test_the_shared_context_is_as_clean_as_a_message():
    """Bug: a NUL in the batch's context reached every event, and no PostgreSQL takes one."""
    assert {"a\ufffd": "\ufffd", "n": None} == opened(b'{"batch":[],"context":{"a\\u0000":"\\ud800","n":NaN}}').context
    assert {"a": "\ufffd"} == opened(b'{"batch":[],"context":{"a":"\\u0000"}}').context


@pytest.mark.parametrize("context", ["null", "[]", '""', '"x"', "7"])
def test_a_shared_context_that_is_no_object_says_nothing(context):
    """PHP writes an empty map as an empty list."""
    assert {} == opened(f'{{"batch":[],"context":{context}}}'.encode()).context


@pytest.mark.parametrize(
    "context",
    [b'{"a":"' + b"x" * EVENT_BYTES_MAX + b'"}', b'{"a":' + b"[" * DEPTH_MAX + b"]" * DEPTH_MAX + b"}", b'{"a" 1}'],
    ids=["too large", "too deep", "no JSON"],
)
def test_a_shared_context_that_no_message_can_carry_refuses_the_batch(context):
    """Bug: it was copied into every message without limit, and silently left out, consent and all, when damaged."""
    with pytest.raises(UnreadableBody) as caught:
        opened(b'{"batch":[{}],"context":' + context + b"}")

    assert "invalid_context" == caught.value.code


@pytest.mark.parametrize(
    "body",
    [
        b'{"batch":["' + b'\\"' * 250_000 + b"}",
        b'{"batch":[' + b"[" * 500_000 + b"}",
        b'{"batch":[' + b'"' * 499_999 + b"}",
        b'{"batch":[' + b"{}," * 150_000 + b"NaN]}",
    ],
    ids=["a string never closed", "brackets", "quotes", "a large damaged batch"],
)
def test_no_body_takes_long(body):
    """Bug: a string that was never closed cost the square of its length; half a megabyte would have taken an hour."""
    began = time.monotonic()
    with contextlib.suppress(UnreadableBody):
        opened(body)

    assert time.monotonic() - began < 5


@given(st.binary() | st.text('{}[]":,\\ \n1batchNaN').map(str.encode), st.sampled_from([None, "track"]))
def test_any_bytes_are_an_envelope_or_unreadable(body, type):
    """Nothing but UnreadableBody is ever raised."""
    try:
        envelope = open_envelope(body, type)
    except UnreadableBody:
        return

    assert type == envelope.type


# --- ids ---


@pytest.mark.parametrize(
    ("sent", "expected"),
    [("u1", "u1"), (7, "7"), (0, "0"), (-3, "-3"), (7.0, "7"), (1.5, "1.5"), (2**64 + 1, "18446744073709551617")],
)
def test_a_number_is_an_id(sent, expected):
    """Clients send database keys as numbers; 7 and 7.0 are one person."""
    assert expected == read_event(message(userId=sent)).user_id
    assert expected == read_event(message(userId=None, anonymousId=sent)).anonymous_id
    assert expected == read_event(message(messageId=sent)).message_id
    assert expected == read_event(message(type="group", groupId=sent)).group_id


@pytest.mark.parametrize("number", [7, 2**53 + 1, 2**63, 2**64, 10**21 + 1, -(2**63) - 1])
def test_damage_beside_an_id_does_not_change_it(number):
    """Bug: with a NaN anywhere in the message an id beyond 64 bits became a rounded float, one for many people."""
    assert str(number) == read_event(message(userId=number, properties={"n": math.nan})).user_id


@pytest.mark.parametrize("sent", [None, ""])
def test_null_and_empty_ids_are_absent(sent):
    """All three mean the same."""
    event = read_event(message(userId="u1", anonymousId=sent, context={"groupId": sent}))

    assert ("u1", None, None) == (event.user_id, event.anonymous_id, event.group_id)
    assert ("no_user_anon_id", "") == refused(message(userId=sent, anonymousId=sent))


@pytest.mark.parametrize("sent", [True, False, [], {}, ["u1"]], ids=repr)
def test_what_cannot_be_an_id_is_refused(sent):
    """The refusal points at it, and quotes nothing."""
    assert ("invalid_id", "/userId") == refused(message(userId=sent))
    assert ("invalid_id", "/anonymousId") == refused(message(anonymousId=sent))
    assert ("invalid_message_id", "/messageId") == refused(message(messageId=sent))


def test_ids_have_a_length():
    """512 characters for an id, also of a number; 255 for a message's own."""
    assert "u" * 512 == read_event(message(userId="u" * 512)).user_id
    assert ("id_too_long", "/userId") == refused(message(userId="u" * 513))
    assert ("id_too_long", "/userId") == refused(message(userId=10**512))
    assert ("message_id_too_long", "/messageId") == refused(message(messageId="m" * 256))


def test_the_anonymous_id_may_stand_in_a_header():
    """The message's own wins."""
    assert "h" == read_event(message(), anonymous_id="h").anonymous_id
    assert "h" == read_event({"event": "x"}, "track", anonymous_id="h").anonymous_id
    assert "own" == read_event(message(anonymousId="own"), anonymous_id="h").anonymous_id


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"type": "group", "groupId": "g"}, "g"),
        ({"context": {"groupId": "g"}}, "g"),
        ({"properties": {"groupId": "g"}}, "g"),
        ({"context": {"groupId": 7}, "properties": {"groupId": "g"}}, "7"),
        ({"type": "identify", "context": {"groupId": "g"}}, "g"),
        ({"type": "identify", "traits": {"groupId": "g"}}, None),
        ({"groupId": "g"}, None),
    ],
)
def test_the_account_is_named_where_clients_name_it(fields, expected):
    """On a group message; else in the context, else in the properties."""
    assert expected == read_event(message(**fields)).group_id


def test_every_type_needs_what_makes_it_one():
    """A group its id, an alias its previous one, a track its name; and a type that is known."""
    assert ("no_group_id", "/groupId") == refused(message(type="group"))
    assert ("no_previous_id", "/previousId") == refused(message(type="alias"))
    assert ("no_event_name", "/event") == refused(message(event=""))
    assert ("unknown_type", "/type") == refused(message(type="purchase"))
    assert ("unknown_type", "/type") == refused(message(type=None))
    assert "p" == read_event(message(type="alias", previousId="p")).previous_id


def test_the_path_names_the_type():
    """What the message says of itself then does not matter."""
    assert "identify" == read_event(message(type="track"), "identify").type
    assert "track" == read_event(message(type=" TRACK ")).type


# --- messageId ---


def test_a_missing_message_id_is_derived_from_the_message():
    """The same bytes sent again are the same event, so that a client without ids may retry."""
    without = message(messageId=None, timestamp="2026-03-01T08:00:00Z")
    first, again = read_event(without), read_event(without, received_at=NOW + HOUR, new_id="another")

    assert first.message_id == again.message_id
    assert first.message_id.startswith("derived-")
    assert first.message_id != read_event({**without, "properties": {"a": 1}}).message_id


def test_a_derived_id_knows_what_the_request_said_beside_the_message():
    """Bug: two visitors named in headers alone shared one event, and so did a page and a screen."""
    without = {"event": "x", "name": "x", "timestamp": "2026-03-01T08:00:00Z"}
    derived = [
        read_event(without, "track", anonymous_id="a").message_id,
        read_event(without, "track", anonymous_id="b").message_id,
        read_event(without, "page", anonymous_id="b").message_id,
    ]

    assert 3 == len(set(derived))


def test_without_id_and_time_of_its_own_a_message_is_always_new():
    """Bug: given only the batch's sentAt, every "Task Assigned" of a user was taken for the first one's repetition."""
    without = message(messageId=None)

    assert "drawn" == read_event(without).message_id
    assert "drawn" == read_event(without, sent_at="2026-03-01T08:00:00Z").message_id
    assert "drawn" != read_event({**without, "sentAt": "2026-03-01T08:00:00Z"}).message_id


# --- properties and traits ---


@pytest.mark.parametrize("empty", [None, [], "", {}], ids=repr)
def test_an_empty_map_has_many_forms(empty):
    """PHP writes it as a list."""
    event = read_event(message(properties=empty, context=empty))

    assert ({}, {}) == (event.properties, event.context)


@pytest.mark.parametrize("wrong", ["x", 7, [1], True], ids=repr)
def test_what_is_no_map_is_refused(wrong):
    """A pointer says where."""
    assert ("not_an_object", "/properties") == refused(message(properties=wrong))
    assert ("not_an_object", "/context") == refused(message(context=wrong))
    assert ("not_an_object", "/traits") == refused(message(type="identify", traits=wrong))
    assert ("not_an_object", "/context/traits") == refused(message(type="identify", context={"traits": wrong}))


@pytest.mark.parametrize("type", ["identify", "group"])
def test_traits_stand_in_traits_or_in_the_context(type):
    """The message's own win, even when they are empty."""
    described = message(type=type, groupId="g", context={"traits": {"plan": "a"}})

    assert {"plan": "a"} == read_event(described).properties
    assert {"plan": "b"} == read_event({**described, "traits": {"plan": "b"}}).properties
    assert {} == read_event({**described, "traits": {}}).properties


def test_the_batchs_context_lies_under_the_messages_own():
    """Key by key, the message wins."""
    event = read_event(message(context={"a": 1}), context={"a": 0, "b": 2})

    assert {"a": 1, "b": 2} == event.context


def test_extra_keys_are_nothing():
    """Integrations, channels and what else SDKs add are not refused."""
    assert isinstance(read(message(integrations={"All": True}, channel="server", _metadata={}, version="1")), Event)


@pytest.mark.parametrize("type", ["page", "screen"])
def test_a_page_is_named_by_name_or_by_its_properties(type):
    """An unnamed page is a page all the same."""
    assert "Home" == read_event(message(type=type, name="Home")).name
    assert "Home" == read_event(message(type=type, properties={"name": "Home"})).name
    assert read_event(message(type=type)).name is None
    assert ("name_too_long", "/name") == refused(message(type=type, name="x" * 513))


# --- damage ---


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"NaN", None),
        (b"Infinity", None),
        (b"-Infinity", None),
        (b"1e400", None),
        (b"-0.0", 0.0),
        (b"18446744073709551616", 2**64),
        (b"-9223372036854775809", -(2**63) - 1),
        (b"1" * 5000, None),
        (b'"a\\u0000b"', "a\ufffdb"),
        (b'"a\x00b"', "a\ufffdb"),
        (b'"\\\\u0000"', "\\u0000"),
        (b'"a\tb\nc"', "a\tb\nc"),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'"\\ud800"', "\ufffd"),
        (b'"\\udc00x"', "\ufffdx"),
        (b'"\\ude00\\ud83d"', "\ufffd\ufffd"),
        (b'"\xff"', "\ufffd"),
        (b'"\xed\xa0\x80"', "\ufffd\ufffd\ufffd"),
        (b'{"a\\u0000":1}', {"a\ufffd": 1}),
        (b'{"a":1,"a":2}', {"a": 2}),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_what_is_not_plain_json_is_made_so(raw, expected):
    """Behind this door every value can be written as UTF-8 JSON and stored in every database."""
    event = read_event(b'{"event":"x","userId":"u","properties":{"v":' + raw + b"}}", "track")

    assert {"v": expected} == event.properties


@pytest.mark.parametrize("raw", [b"", b"7", b"null", b"[]", b"[1,NaN]", b'"x"', b"{", b'{"a" 1}', b"{}{}", b"NaN"])
def test_what_is_no_object_is_no_message(raw):
    """It is refused, not raised."""
    assert ("invalid_json", "") == refused(raw)


def test_a_message_has_a_depth():
    """Deep nesting is refused before anything walks it; brackets in text are no nesting."""

    def nested(levels: int) -> bytes:
        inside = b'{"a":' * levels + b"1" + b"}" * levels
        return b'{"event":"x","userId":"u","properties":' + inside + b"}"

    assert isinstance(read(nested(DEPTH_MAX - 1), "track"), Event)
    assert ("too_deep", "") == refused(nested(DEPTH_MAX), "track")
    assert ("too_deep", "") == refused(nested(1_000), "track")
    assert ("too_deep", "") == refused(b"[" * 10_000)
    assert isinstance(read(message(properties={"text": "[{" * 1_000, "flat": [[]] * 1_000})), Event)


def test_a_message_has_a_size():
    """One byte more is refused, with what can be told of it cut short and clean."""
    fits = message(properties={"text": ""})
    room = EVENT_BYTES_MAX - len(encoded(fits))

    assert isinstance(read({**fits, "properties": {"text": "x" * room}}), Event)
    rejection = read({**fits, "properties": {"text": "x" * (room + 1)}})
    assert ("event_too_large", "m1", "track", "Task Assigned") == (
        rejection.code,
        rejection.message_id,
        rejection.type,
        rejection.name,
    )


def test_what_is_told_of_a_refused_message_can_be_stored():
    """Bug: an oversize message's id kept its NUL, and a refused one's was as long as it liked."""
    large = read(message(messageId="m\x00" + "x" * 1_000, event="e\x00", properties={"text": "x" * EVENT_BYTES_MAX}))
    refused_one = read(message(messageId="x" * 1_000, event="e" * 1_000, userId=True))

    assert ("m\ufffd" + "x" * 253, "e\ufffd") == (large.message_id, large.name)
    assert ("x" * 255, "e" * 512) == (refused_one.message_id, refused_one.name)


def test_no_message_takes_long():
    """Bug: a string never closed in a message of 32 KB held the collector's turn for seconds."""
    began = time.monotonic()
    read(b"[" * 100 + b'"' + b'\\"' * 16_000)

    assert time.monotonic() - began < 1


# --- time ---


def test_a_network_is_no_wrong_clock():
    """
    A difference of up to a minute between sentAt and receipt leaves the client's time as it is.

    The documented rule, timestamp = receivedAt - (sentAt - originalTimestamp), corrects a wrong clock, but it also adds
    the time on the way to every event. Then an event's time would depend on which of its copies arrived first: a retry
    half a second later would move it, and with it a verdict at the edge of a window. A clock that is off by less than a
    minute does less harm than that, so only what the network cannot explain is corrected.
    """
    happened = NOW - HOUR
    sent = NOW - CLOCK_TOLERANCE

    assert (happened, False) == event_time(happened, sent, NOW)
    assert (happened, False) == event_time(happened, sent, NOW - 2 * CLOCK_TOLERANCE)
    assert (happened, False) == event_time(happened, None, NOW)
    assert (happened + CLOCK_TOLERANCE + 1, False) == event_time(happened, sent - 1, NOW)


def test_a_wrong_clock_is_corrected():
    """Two hours fast or slow, an event 10 s before it was sent happened 10 s before it came."""
    for wrong in (2 * HOUR, -2 * HOUR, 24 * HOUR):
        assert (NOW - 10 * SECOND, False) == event_time(NOW + wrong - 10 * SECOND, NOW + wrong, NOW)


def test_the_future_begins_five_minutes_from_now():
    """Up to there a time is taken as it is, then it is clamped, and the event says so."""
    assert (NOW + FUTURE_TOLERANCE, False) == event_time(NOW + FUTURE_TOLERANCE, None, NOW)
    assert (NOW + FUTURE_TOLERANCE, True) == event_time(NOW + FUTURE_TOLERANCE + 1, None, NOW)


def test_without_a_time_of_its_own_an_event_happens_on_arrival():
    """Whatever sentAt says."""
    assert (NOW, False) == event_time(None, NOW - HOUR, NOW)


@given(st.none() | st.integers(INSTANT_MIN, INSTANT_MAX), st.none() | st.integers(INSTANT_MIN, INSTANT_MAX))
def test_every_time_of_an_event_can_be_written(original_at, sent_at):
    """Bug: a timestamp in the year 1 sent in the year 9999 was corrected to before all years."""
    at, clamped = event_time(original_at, sent_at, NOW)

    assert INSTANT_MIN <= at <= NOW + FUTURE_TOLERANCE
    assert parse_instant(format_instant(at)) == at
    assert not clamped or at in (INSTANT_MIN, NOW + FUTURE_TOLERANCE)


def test_four_times_are_kept():
    """What the client said, when it sent it, when it came, and what is computed by."""
    event = read_event(message(timestamp="2026-03-01T06:59:50Z", sentAt="2026-03-01T07:00:00Z"))
    at, original_at, sent_at = (format_instant(time) for time in (event.at, event.original_at, event.sent_at))

    assert ("2026-03-01T08:59:50.000Z", "2026-03-01T06:59:50.000Z", "2026-03-01T07:00:00.000Z", NOW, False) == (
        at,
        original_at,
        sent_at,
        event.received_at,
        event.clamped,
    )


def test_the_nearest_sent_at_wins():
    """The message's own, else the batch's or the header's; one that cannot be read is none."""
    said = {"timestamp": "2026-03-01T06:59:50Z"}

    assert NOW - HOUR == read_event(message(**said, sentAt=NOW - HOUR), sent_at=NOW - 2 * HOUR).sent_at
    assert NOW - HOUR == read_event(message(**said, sentAt="soon"), sent_at=NOW - HOUR).sent_at
    assert read_event(message(**said, sentAt=True), sent_at={}).sent_at is None


def test_the_event_time_is_timestamp_else_original_timestamp():
    """Epoch numbers and zone offsets included; null and empty are absent."""
    assert NOW == read_event(message(timestamp=NOW // SECOND, originalTimestamp=0)).original_at
    assert NOW == read_event(message(timestamp="2026-03-01T14:30:00+05:30")).original_at
    assert NOW == read_event(message(timestamp="", originalTimestamp="2026-03-01T09:00:00Z")).original_at
    assert read_event(message(timestamp=None)).original_at is None


def test_an_unreadable_time_is_refused_where_it_stands():
    """Guessing a time would move verdicts."""
    assert ("invalid_timestamp", "/timestamp") == refused(message(timestamp="soon"))
    assert ("invalid_timestamp", "/originalTimestamp") == refused(message(originalTimestamp=[]))


# --- for all messages ---


@given(st.binary() | messages.map(encoded) | values.map(encoded), st.none() | st.sampled_from(MESSAGE_TYPES))
def test_reading_never_raises_and_never_lets_through_what_cannot_be_stored(raw, type):
    """An event or a rejection, whatever the bytes; and all of it is plain UTF-8 JSON without NUL."""
    read_result = read_item(raw, type, Arrival(received_at=NOW), lambda: "drawn")

    written = msgspec.json.encode(read_result)
    assert not [text for text in all_texts(msgspec.to_builtins(read_result)) if "\x00" in text]
    assert msgspec.json.decode(written, type=type_of(read_result)) == read_result
    json.loads(written.decode("utf-8"))


def type_of(value: object) -> type:
    return Event if isinstance(value, Event) else Rejection


def as_sent(event: Event) -> dict[str, Any]:
    """An event as a client would send it."""
    traits_type = event.type in ("identify", "group")
    return {
        "type": event.type,
        "event" if event.type == "track" else "name": event.name,
        "messageId": event.message_id,
        "userId": event.user_id,
        "anonymousId": event.anonymous_id,
        "previousId": event.previous_id,
        "groupId": event.group_id if event.type == "group" else None,
        "timestamp": None if event.original_at is None else format_instant(event.original_at),
        "sentAt": None if event.sent_at is None else format_instant(event.sent_at),
        "traits" if traits_type else "properties": event.properties,
        "context": event.context,
        "writeKey": event.write_key,
    }


@given(good_messages)
def test_the_canonical_form_reads_as_itself(sent):
    """Reading an event that was written again gives the same event."""
    event = read_event(sent)

    assert event == read_event(msgspec.json.encode(as_sent(event)))


garbage = st.one_of(
    st.binary(max_size=20).filter(lambda raw: not set(raw) & set(b'"{}[],\\')),
    st.binary(max_size=20).filter(lambda raw: not set(raw) & set(b'"\\')).map(lambda raw: b'{"a":"' + raw + b'"}'),
    values.map(encoded),
    messages.map(encoded),
    st.sampled_from(
        [b"NaN", b"{]", b"[}", b'"\\ud800"', b'{"a" 1}', b"1 2", b'{"event":1e400}', b"{,}", b"'x'", b"{a:1}"]
    ),
    st.sampled_from([b'{"a":"' + b"x" * EVENT_BYTES_MAX + b'"}', b"[" * 99 + b"]" * 99, b'"\xff"', b"9" * 5_000]),
)


@settings(max_examples=settings.default.max_examples // 2)
@given(st.lists(st.dictionaries(texts, scalars, max_size=2), min_size=2, max_size=4), garbage, st.data())
def test_garbage_never_harms_its_neighbours(properties, junk, data):
    """Every other message of the batch is read as if the damaged one were not there, in its order."""
    sound = [encoded(message(messageId=f"sound-{n}", properties=said)) for n, said in enumerate(properties)]
    place = data.draw(st.integers(0, len(sound)))
    body = b'{"batch":[' + b",".join([*sound[:place], junk, *sound[place:]]) + b'],"writeKey":"k"}'

    results = [read(bytes(memoryview(item))) for item in open_envelope(body, None).items]
    kept = [found for found in results if (found.message_id or "").startswith("sound-")]
    assert [read(raw) for raw in sound] == kept
