"""Whom a message names that could not be read: the odd ends of it."""

import pytest

from assay_collector.identity.identifiers import hash_email, identifier_hasher
from assay_collector.identity.mentions import mentioned, mentions

EMAIL = hash_email("ada@engine.example")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param(b'{"device":{"id":""}}', set(), id="no device"),
        pytest.param(b'{"device":{"id":" AB-1 "}}', {("device", "ab-1")}, id="a device is read as its type is"),
        pytest.param(b'{"email":" Ada@Engine.example "}', {("email_hash", EMAIL)}, id="an address is never kept"),
        pytest.param(b'{"\\u0065mail":"Ada@Engine.example"}', {("email_hash", EMAIL)}, id="nor under an escaped key"),
        pytest.param(b'[{"userId":"\\u0061da"}]', {("user", "ada")}, id="escapes, and no object"),
        pytest.param(b'{"\\u0075serId":17}', set(), id="a number under an escaped key"),
        pytest.param(b'{"\\u0075serId":"","x":1}', set(), id="nobody under an escaped key"),
        pytest.param(b'{"userId":"ad\xffa"}', {("user", "ad?a")}, id="no proper text"),
        pytest.param(b'{"userId":"ada\tb"}', {("user", "ada\tb")}, id="a tab that should be escaped"),
        pytest.param(b'{"userId":"a\\u00', {("user", "a\\u00")}, id="cut off in an escape"),
        pytest.param(b'{"userId":"a\\\\', {("user", "a\\")}, id="cut off behind an escaped backslash"),
        pytest.param(b'{"userId":"a\\', {("user", "a")}, id="cut off behind a backslash"),
        pytest.param(b'{"userId":"a\\"', {("user", 'a"')}, id="cut off behind an escaped quote"),
        pytest.param(b'{"userId":"', set(), id="cut off before the id"),
        pytest.param(b'{"userId":-17.5e3}', {("user", "-17.5e3")}, id="a number as it is written"),
    ],
)
def test_the_odd_ends_of_a_message_are_read_as_far_as_they_go(raw, expected):
    """What is found is what the collector would have kept, had it been able to read the message."""
    assert expected == mentions(raw)


def test_who_is_mentioned_is_told_by_sorted_ids():
    """Each once, under the namespace of the source, as an index wants them."""
    identify = identifier_hasher(b"k" * 32)
    names = [f"u{n}" for n in range(9)]
    raw = b"[" + b",".join(b'{"userId":"%s"}' % name.encode() for name in [*names, *names]) + b"]"

    assert tuple(sorted(identify("shop", "user", name) for name in names)) == mentioned(raw, "shop", identify)
