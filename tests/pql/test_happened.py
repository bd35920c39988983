"""What happened since, added up."""

from assay_collector.pql.happened import ANYTHING, BITS, NOTHING, Happened, bit_of, bits_of


def test_what_happened_adds_up():
    """So many marks together, the earliest of them, and every signal that any of them marked."""
    one, other = Happened(2, 50, 0b0011), Happened(3, 40, 0b0110)

    assert Happened(5, 40, 0b0111) == one.and_more(other) == other.and_more(one)
    assert one == one.and_more(NOTHING) == NOTHING.and_more(one)


def test_a_signal_has_one_bit_that_the_store_can_hold():
    """Signals are hashes of 63 bits; an integer of SQLite has 63 bits and a sign."""
    signals = [0, 1, 61, 62, 63, 2**63 - 1]

    assert [1 << 0, 1 << 1, 1 << 61, 1 << 0, 1 << 1] == [bit_of(signal) for signal in signals[:5]]
    assert all(bit_of(signal) < 1 << BITS for signal in signals)


def test_the_bits_of_several_are_the_bits_of_each():
    """And of none there are none; anything may happen to all of them."""
    assert 0 == bits_of([])
    assert 0b101 == bits_of([0, 2, BITS])
    assert all(bit_of(signal) & ANYTHING.signals for signal in range(BITS))
