"""IP addresses as they may be kept: as a network, by which no person can be told."""

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

# In a body that may be no JSON: what stands under the name by which clients send the address.
_NAMED = re.compile(rb'("ip"\s*:\s*")([^"]{2,64})(")', re.IGNORECASE)

_ADDRESSES_MAX = 10_000  # remembered, as a visitor sends many events
_ADDRESS_CHARS_MAX = 64
_HOST_BITS = {4: 8, 6: 80}


def parse_address(address: str) -> IPv4Address | IPv6Address | None:
    """An IP address; None: it is none."""
    return _parsed(address) if len(address) <= _ADDRESS_CHARS_MAX else None


def truncate_address(address: str) -> str | None:
    """An IP address as a network that no person can be told by: /24, or /48 in IPv6; None: it is no address."""
    return _truncated(address) if len(address) <= _ADDRESS_CHARS_MAX else None


@lru_cache(_ADDRESSES_MAX)
def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(address.strip())
    except ValueError:
        return None


@lru_cache(_ADDRESSES_MAX)
def _truncated(address: str) -> str | None:
    parsed = _parsed(address)
    if parsed is None:
        return None
    bits = _HOST_BITS[parsed.version]
    return str(type(parsed)(int(parsed) >> bits << bits))


def truncate_addresses(raw: bytes) -> bytes:
    """A message, or what is left of one, with every address under the name ``ip`` truncated; the rest to the byte."""
    return _NAMED.sub(_replaced, raw) if b'"ip"' in raw or b'"IP"' in raw else raw


def _replaced(found: re.Match[bytes]) -> bytes:
    kept = truncate_address(found[2].decode("utf-8", "replace"))
    # What is no address there, though it should be one, might be one that we cannot read.
    return found[1] + (b"" if kept is None else kept.encode()) + found[3]
