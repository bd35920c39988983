"""No address is kept in full."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay_collector.ingest.addresses import truncate_address, truncate_addresses


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        (b'{"context":{"ip":"203.0.113.77"}}', b'{"context":{"ip":"203.0.113.0"}}'),
        (b'{ "ip" : "2001:db8:1:2::7" , "a": NaN', b'{ "ip" : "2001:db8:1::" , "a": NaN'),
        (b'{"ip":" 203.0.113.77 "}', b'{"ip":"203.0.113.0"}'),
        (b'{"ip":"203.0.113.77:443"}', b'{"ip":""}'),
        (b'{"ip":"\\u0032\\u0030"}', b'{"ip":""}'),
        (b'{"ip":null,"tip":"203.0.113.77"}', b'{"ip":null,"tip":"203.0.113.77"}'),
        (b"\xff\x00 no JSON", b"\xff\x00 no JSON"),
    ],
)
def test_addresses_in_a_body_are_truncated_and_the_rest_stays(raw: bytes, kept: bytes) -> None:
    """Wherever the name stands, in whatever is left of a message; what cannot be read there is taken out."""
    assert kept == truncate_addresses(raw)


@given(st.ip_addresses())
def test_truncating_keeps_the_network_alone(address) -> None:
    """Twice is as once, and at most 24 or 48 bits are left."""
    kept = truncate_address(str(address))

    assert kept is not None
    assert kept == truncate_address(kept)
    assert (b'"ip":"%s"' % kept.encode()) == truncate_addresses(b'"ip":"%s"' % str(address).encode())


def test_what_is_no_address_has_no_network() -> None:
    """Nothing is guessed."""
    assert None is truncate_address("localhost")
