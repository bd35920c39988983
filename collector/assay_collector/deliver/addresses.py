"""Which network addresses a webhook may reach. Pure: an address comes in, a reason comes out."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

# What never is a receiver of webhooks, whatever the endpoint allows: the cloud's metadata services live here.
_NEVER_V4 = {
    "0.0.0.0/8": "unspecified",
    "169.254.0.0/16": "link-local",
    "168.63.129.16/32": "a metadata service",
    "100.100.100.200/32": "a metadata service",
    "192.0.0.192/32": "a metadata service",
    "224.0.0.0/4": "multicast",
    "255.255.255.255/32": "broadcast",
}
_NEVER_V6 = {
    "::/128": "unspecified",
    "fe80::/10": "link-local",
    "fd00:ec2::254/128": "a metadata service",
    "fd20:ce::254/128": "a metadata service",
    "ff00::/8": "multicast",
}
# Source: the IANA special-purpose address registries. The standard library's own copy differs from release to release.
_PRIVATE_V4 = {
    "10.0.0.0/8": "private",
    "100.64.0.0/10": "shared with a carrier",
    "127.0.0.0/8": "loopback",
    "172.16.0.0/12": "private",
    "192.0.0.0/24": "reserved",
    "192.0.2.0/24": "for documentation",
    "192.88.99.0/24": "reserved",
    "192.168.0.0/16": "private",
    "198.18.0.0/15": "for benchmarks",
    "198.51.100.0/24": "for documentation",
    "203.0.113.0/24": "for documentation",
    "240.0.0.0/4": "reserved",
}
_PRIVATE_V6 = {
    "::1/128": "loopback",
    "fc00::/7": "private",
    "2001::/23": "reserved",
    "2001:db8::/32": "for documentation",
    "2002::/16": "a tunnel to IPv4",
    "3fff::/20": "for documentation",
}
_GLOBAL_V6 = IPv6Network("2000::/3")  # everything else in IPv6 is not handed out
_TRANSLATED = IPv6Network("64:ff9b::/96")  # how an IPv6-only network reaches IPv4

_Kinds = Sequence[tuple[IPv4Network | IPv6Network, str]]
_NEVER: _Kinds = [(IPv4Network(net), why) for net, why in _NEVER_V4.items()] + [
    (IPv6Network(net), why) for net, why in _NEVER_V6.items()
]
_PRIVATE: _Kinds = [(IPv4Network(net), why) for net, why in _PRIVATE_V4.items()] + [
    (IPv6Network(net), why) for net, why in _PRIVATE_V6.items()
]


def refusal(address: str, *, allow_private: bool) -> str | None:
    """
    Why an address must not be reached.

    An IPv6 address that stands for an IPv4 one is judged as that one.

    Args:
        address: IPv4 in four decimal parts, or IPv6; no zone.
        allow_private: Whether loopback, private and reserved networks may be reached. Link-local, multicast,
            unspecified addresses and the clouds' metadata services may not, even then.

    Returns:
        What it is, in words ("loopback"), or None when it may be reached.

    Raises:
        ValueError: It is no address.
    """
    ip = _unwrapped(ip_address(address))
    never = _kind(ip, _NEVER)
    if never is not None or allow_private:
        return never
    private = _kind(ip, _PRIVATE)
    if private is None and isinstance(ip, IPv6Address) and ip not in _GLOBAL_V6:
        return "not a public address"
    return private


def _unwrapped(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    if isinstance(ip, IPv6Address):
        # The low 32 bits; ::a.b.c.d is the long abandoned form that some systems still connect by.
        compatible = int(ip) >> 32 == 0 and int(ip) > 1
        if ip.ipv4_mapped is not None or ip in _TRANSLATED or compatible:
            return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip


def _kind(ip: IPv4Address | IPv6Address, networks: _Kinds) -> str | None:
    return next((why for network, why in networks if ip.version == network.version and ip in network), None)
