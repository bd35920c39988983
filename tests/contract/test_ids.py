"""Ids that are drawn ascend with time; ids that are derived are the same everywhere."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from assay.contract.ids import ID_BYTES, event_id, uuid7

moments = st.integers(0, 2**48 * 1000 - 1)
entropies = st.binary(min_size=10, max_size=16)


def test_uuid7_keeps_the_example_of_the_standard():
    """RFC 9562, appendix A.6: the fields lie where others look for them."""
    # rand_a = 0xCC3 and rand_b = 0x18C4DC0C0C07398F without its two variant bits, as the first 74 bits.
    bits = (0xCC3 << 62 | 0x18C4DC0C0C07398F) << 6

    assert "017f22e2-79b0-7cc3-98c4-dc0c0c07398f" == uuid7(0x017F22E279B0 * 1000, bits.to_bytes(10, "big"))


@given(moments, entropies)
def test_uuid7_is_a_uuid_of_its_version_and_moment(now, entropy):
    """Version 7, the RFC's variant, and the whole milliseconds in the first 48 bits."""
    drawn = UUID(uuid7(now, entropy))

    assert (7, "specified in RFC 4122", now // 1000) == (drawn.version, drawn.variant, drawn.int >> 80)


@given(moments, moments, entropies, entropies)
def test_uuid7_ascends_with_time(now, later, entropy, other):
    """Text order is the order of milliseconds, whatever the randomness."""
    if now // 1000 < later // 1000:
        assert uuid7(now, entropy) < uuid7(later, other)


@given(moments, st.integers(0, 2**74 - 1), st.integers(0, 2**74 - 1))
def test_uuid7_uses_all_74_bits(now, bits, others):
    """Two draws of one moment are equal only if all their random bits are."""
    first, second = (uuid7(now, (value << 6).to_bytes(10, "big")) for value in (bits, others))

    assert (bits == others) == (first == second)


def test_an_event_id_is_the_same_for_every_collector():
    """A changed derivation would store every event again, so the value is pinned."""
    assert "c1632ebf96e943320e84af8655f6a614" == event_id("app", "m1").hex()


@given(st.text(), st.text(), st.text(), st.text())
def test_events_are_the_same_only_within_a_source(source, message_id, other_source, other_id):
    """No pair of (source, messageId) shadows another, also where their texts run together."""
    same = (source, message_id) == (other_source, other_id)

    assert same == (event_id(source, message_id) == event_id(other_source, other_id))


def test_the_border_between_source_and_message_id_counts():
    """("a", "bc") and ("ab", "c") are two events."""
    assert event_id("a", "bc") != event_id("ab", "c")
    assert event_id("1", "1:x") != event_id("11", ":x")


@given(st.text(st.characters()), st.text(st.characters(exclude_categories=())))
def test_an_event_id_has_16_bytes_of_whatever_text(source, message_id):
    """Lone surrogates too have an id."""
    assert ID_BYTES == len(event_id(source, message_id))
