"""Endpoints are refused when they could not work, or could reach what they must not."""

from typing import Any

import pytest

from assay_collector.deliver import Endpoint, InvalidEndpoint

from .builders import SECRET, an_endpoint

HOSTILE = [
    "http://127.0.0.1/",
    "http://127.1.2.3:8080/",
    "http://localhost/",
    "http://LOCALHOST./",
    "http://api.localhost/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.1.1/",
    "http://100.64.0.1/",
    "http://0.0.0.0/",
    "http://169.254.169.254/latest/meta-data",
    "http://168.63.129.16/",
    "http://100.100.100.200/",
    "http://192.0.0.192/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    "http://240.0.0.1/",
    "http://198.18.0.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.1/",
    "http://0177.0.0.1/",
    "http://017700000001/",
    "http://127.1/",
    "http://127.0.0.1./",
    "http://1.2.3.256/",
    "http://1.2.3.04/",
    "http://[::1]/",
    "http://[::]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:a00:1]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::10.0.0.1]/",
    "http://[2002:7f00:1::]/",
    "http://[2001:0:7f00:1::]/",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[fc00::1]/",
    "http://[fd00:ec2::254]/",
    "http://[fec0::1]/",
    "http://[ff02::1]/",
    "http://[100::1]/",
    "http://user@127.0.0.1/",
    "http://good.example@127.0.0.1/",
    "http://①②⑦.⓪.⓪.①/",
    "http://127。0。0。1/",
    "http://exa mple.com/",
    "http://example.com\\@127.0.0.1/",
    "http://example.com\r\nX: y/",
    "http://-bad-/",
    "http://a..b/",
    "http://[::1/",
    "http:///path",
    "http://",
    "http://example.com:0/",
    "http://example.com:99999/",
    "http://example.com:http/",
    "https://example.com/#part",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://example.com/",
    "unix:///run/docker.sock",
    "//example.com/",
    "example.com",
    "",
]


@pytest.mark.parametrize("url", HOSTILE)
def test_a_hostile_or_broken_url_is_refused(url: str) -> None:
    """However an address is spelt, and wherever it hides, it is refused when it is configured."""
    with pytest.raises(InvalidEndpoint) as caught:
        an_endpoint(url=url)

    assert "url" == caught.value.setting


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.com/in?token=abc",
        "http://example.com:8080",
        "https://user:p%40ss@example.com/",
        "https://xn--bcher-kva.example/",
        "https://_internal.example.com/",
        "https://8.8.8.8/",
        "https://[2606:4700:4700::1111]/",
        "https://1password.com/",
        "https://a.b.c3/",
    ],
)
def test_an_ordinary_url_is_accepted(url: str) -> None:
    """Ports, passwords, international hosts and public addresses are all right."""
    assert url == an_endpoint(url=url).url


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/", "http://[::1]/", "http://10.1.2.3/", "http://localhost/"])
def test_private_addresses_can_be_allowed(url: str) -> None:
    """A receiver on the same machine or network is the operator's to allow."""
    assert an_endpoint(url=url, allow_private=True).allow_private


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/", "http://[fd00:ec2::254]/", "http://0.0.0.0/", "http://224.0.0.1/"]
)
def test_some_addresses_are_never_allowed(url: str) -> None:
    """No receiver lives at a metadata service, a multicast group or the unspecified address."""
    with pytest.raises(InvalidEndpoint):
        an_endpoint(url=url, allow_private=True)


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "secret", SECRET[6:], "x" + SECRET, "whsec_!!!!", "whsec_c2hvcnQ=", "whsec_" + "A" * 200]
)
def test_a_weak_or_garbled_secret_is_refused_and_not_repeated(secret: str) -> None:
    """The message says what is wanted, and never what was given."""
    with pytest.raises(InvalidEndpoint, match="whsec_ followed by Base64 of 24 to 64 random bytes") as caught:
        an_endpoint(secret=secret)

    assert not secret[6:] or secret[6:] not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"url": "https://example.com"}, "'crm', secret: is missing"),
        ({"secret": SECRET}, "'crm', url: is missing"),
        ({"url": "https://example.com", "secret": SECRET, "urll": 1}, "'crm', urll: is no such setting"),
        ({"url": 5, "secret": SECRET}, "'crm', url: must not be of type int"),
        ({"url": "https://example.com", "secret": SECRET, "timeout_seconds": True}, "must not be of type bool"),
        ({"url": "https://example.com", "secret": SECRET, "purpose": "ads"}, "must be one of analytics, pql_scoring,"),
        ({"url": "https://example.com", "secret": SECRET, "timeout_seconds": 0}, "more than 0 and at most 60"),
        ({"url": "https://example.com", "secret": SECRET, "timeout_seconds": 61}, "more than 0 and at most 60"),
        ({"url": "https://example.com", "secret": SECRET, "news_age_hours_max": 0}, "more than 0 hours"),
    ],
)
def test_a_settings_table_is_checked(settings: dict[str, Any], problem: str) -> None:
    """Each mistake in the file is named with its endpoint and setting."""
    with pytest.raises(InvalidEndpoint) as caught:
        Endpoint.from_settings("crm", settings)

    assert problem in str(caught.value)


@pytest.mark.parametrize("name", ["", "a b", "../x", "-a", "x" * 65, "é"])
def test_a_name_is_short_and_plain(name: str) -> None:
    """Names end up in logs, tables and commands."""
    with pytest.raises(InvalidEndpoint, match="letters, digits"):
        an_endpoint(name)


def test_neither_secret_nor_token_is_shown() -> None:
    """repr() and origin give away no more than scheme, host and port."""
    endpoint = an_endpoint(url="https://me:pass@hooks.example.com:8443/services/T0KEN?key=K3Y")

    assert "https://hooks.example.com:8443" == endpoint.origin
    assert not [word for word in ("pass", "T0KEN", "K3Y", SECRET[6:]) if word in repr(endpoint)]
