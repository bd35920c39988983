"""IP addresses as they may be kept: as a network, by which no person can be told."""

import re
from ipaddress import ip_address, ip_network

# In a body that may be no JSON: what stands under the name by which clients send the address.
_NAMED = re.compile(rb'("ip"\s*:\s*")([^"]{2,64})(")', re.IGNORECASE)


def truncate_address(address: str) -> str | None:
    """An IP address as a network that no person can be told by: /24, or /48 in IPv6; None: it is no address."""
    try:
        parsed = ip_address(address.strip())
    except ValueError:
        return None
    return str(ip_network((parsed, 24 if parsed.version == 4 else 48), strict=False).network_address)


def truncate_addresses(raw: bytes) -> bytes:
    """A message, or what is left of one, with every address under the name ``ip`` truncated; the rest to the byte."""
    return _NAMED.sub(_truncated, raw) if b'"ip"' in raw or b'"IP"' in raw else raw


def _truncated(found: re.Match[bytes]) -> bytes:
    kept = truncate_address(found[2].decode("utf-8", "replace"))
    # What is no address there, though it should be one, might be one that we cannot read.
    return found[1] + (b"" if kept is None else kept.encode()) + found[3]
