"""Where a request came from and how it reached us, reverse proxies considered."""

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from assay_collector.web.replies import Environ

_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}(:\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:\d{1,5})?")


def client_ip(environ: Environ, proxy_hops: int) -> str | None:
    """
    The sender's address.

    Args:
        proxy_hops: How many reverse proxies of ours append to X-Forwarded-For. What stands further left was written by
            strangers.
    """
    remote: str | None = environ.get("REMOTE_ADDR") or None
    if proxy_hops <= 0:
        return remote
    hops = [hop.strip() for hop in environ.get("HTTP_X_FORWARDED_FOR", "").split(",") if hop.strip()]
    if not hops:
        return remote
    try:
        return str(ip_address(hops[-min(proxy_hops, len(hops))].strip("[]")))
    except ValueError:
        return remote


def public_address(environ: Environ, public_url: str | None, proxy_hops: int) -> tuple[str, str]:
    """
    How the client reaches us: scheme, and host with the path in front of ours, if any.

    Args:
        public_url: What the operator says; wins over what the request says.
    """
    if public_url is not None:
        parts = urlsplit(public_url)
        return parts.scheme or "https", (parts.netloc + parts.path).rstrip("/")
    scheme = environ.get("wsgi.url_scheme", "http")
    host = environ.get("HTTP_HOST", "")
    if proxy_hops > 0:
        scheme = _first(environ.get("HTTP_X_FORWARDED_PROTO")) or scheme
        host = _first(environ.get("HTTP_X_FORWARDED_HOST")) or host
    if not _HOST.fullmatch(host):
        host = f"{environ.get('SERVER_NAME', 'localhost')}:{environ.get('SERVER_PORT', '80')}"
    return ("https" if scheme.lower() == "https" else "http"), host


def _first(header: str | None) -> str:
    return (header or "").partition(",")[0].strip()
