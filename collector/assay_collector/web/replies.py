"""An answer before it belongs to a framework, and the headers that browsers need on it."""

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

Environ = Mapping[str, Any]
Headers = list[tuple[str, str]]

STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
SUCCESS = b'{"success":true}'

_JSON = ("Content-Type", "application/json")
_VARY = ("Vary", "Origin")
_PREFLIGHT_SECONDS = "86400"
_METHODS = "GET, POST, OPTIONS"
_ALLOWED_HEADERS = "authorization, content-type, x-retry-count, anonymousid, sentat, prefer"
# What is echoed into a header must not be able to start another one, whatever server is in front.
_ORIGIN = re.compile(r"[\x21-\x7e]{1,512}")
_HEADER_NAMES = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~, -]{1,4096}")


class Reply(NamedTuple):
    """Status, JSON body, and the headers beside Content-Type and Content-Length."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()

    def header_list(self) -> Headers:
        """All headers, in a list of the server's own."""
        return [_JSON, ("Content-Length", str(len(self.body))), *self.headers]


def cors_headers(environ: Environ, origins: frozenset[str] | None) -> Headers:
    """
    What lets a browser hand our answer to the page that asked; for everyone else, only what caches must know.

    The origin is echoed, not ``*``: pages that send credentials get no answer otherwise. No cookie of ours exists, so
    nothing is given away by it. Without Expose-Headers a page cannot see Retry-After, and comes back at once.
    """
    origin = environ.get("HTTP_ORIGIN")
    if origin is None or not _ORIGIN.fullmatch(origin) or (origins is not None and origin not in origins):
        return [_VARY]
    return [
        _VARY,
        ("Access-Control-Allow-Origin", origin),
        ("Access-Control-Allow-Credentials", "true"),
        ("Access-Control-Expose-Headers", "Retry-After"),
    ]


def preflight(environ: Environ) -> Reply:
    """The answer to OPTIONS: whatever headers the page wants to send, it may. Who may ask, `cors_headers` says."""
    asked = environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS", "")
    return Reply(
        200,
        SUCCESS,
        (
            ("Allow", _METHODS),
            ("Access-Control-Allow-Methods", _METHODS),
            ("Access-Control-Allow-Headers", asked if _HEADER_NAMES.fullmatch(asked) else _ALLOWED_HEADERS),
            ("Access-Control-Max-Age", _PREFLIGHT_SECONDS),
        ),
    )


def to_json(document: Any) -> bytes:
    """Compact JSON in ASCII, whatever the strings hold."""
    return json.dumps(document, separators=(",", ":")).encode()
