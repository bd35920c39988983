"""
What a request says about who makes it and from where, whatever the framework: a scope, and the visitor's cookie.

The rule of this floor: no framework. The modules beside this one read their framework's request into a ``Request``,
enter ``Visit.inside`` around the app, and write ``Visit.headers`` into the answer.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit
from uuid import uuid4

from assay.errors import InvalidSetting
from assay.scopes import Id, Scope, Visitor, active, asked

R = TypeVar("R")
Provider = Callable[[R], Id | None]
ConsentProvider = Callable[[R], Mapping[str, bool] | None]

YEAR_SECONDS = 365 * 24 * 3600
# Longer values are cut, so that no browser can make an event too large to be sent.
TEXT_MAX = 2_000
CAMPAIGN_TEXT_MAX = 200

_CAMPAIGN = {
    "utm_source": "source",
    "utm_medium": "medium",
    "utm_campaign": "name",
    "utm_term": "term",
    "utm_content": "content",
    "utm_id": "id",
}
# What a cookie may hold without being quoted, and no more than a collector takes as an id.
_ID = re.compile(r"[A-Za-z0-9._:~-]{1,100}")
_COOKIE_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")


@dataclass(frozen=True, kw_only=True)
class AnonymousCookie:
    """
    The cookie that holds a browser's anonymous id.

    Raises:
        InvalidSetting: A browser would refuse it.
    """

    # To share the id with Segment's analytics.js: "ajs_anonymous_id", with http_only=False.
    name: str = "assay_anonymous_id"
    max_age_seconds: int = YEAR_SECONDS
    path: str = "/"
    domain: str | None = None
    same_site: Literal["Lax", "Strict", "None"] = "Lax"
    # False: an SDK in the browser may read it.
    http_only: bool = True
    # None: as the request's scheme is.
    secure: bool | None = None
    # The purpose or category that the visitor must have granted, where there is a consent provider.
    purpose: str = "analytics"

    def __post_init__(self) -> None:
        if not _COOKIE_NAME.fullmatch(self.name):
            raise InvalidSetting("cookie name", f"must be letters, digits, dots, dashes; got {self.name!r}")
        for name, value in (("path", self.path), ("domain", self.domain or "")):
            if not value.isascii() or not value.isprintable() or ";" in value or "," in value:
                raise InvalidSetting(f"cookie {name}", f"cannot be {value!r}")
        if self.same_site == "None" and self.secure is False:
            raise InvalidSetting("cookie same_site", "cannot be None without secure; browsers refuse it")

    def is_secure(self, scheme: str) -> bool:
        """Whether it is for https only."""
        return scheme == "https" or self.same_site == "None" if self.secure is None else self.secure

    def header(self, value: str, scheme: str) -> str:
        """The Set-Cookie line that sets a value; the empty one takes the cookie away."""
        parts = [f"{self.name}={value}", f"Max-Age={self.max_age_seconds if value else 0}", f"Path={self.path}"]
        parts += [f"Domain={self.domain}"] if self.domain else []
        parts += [f"SameSite={self.same_site}"]
        parts += ["Secure"] if self.is_secure(scheme) else []
        parts += ["HttpOnly"] if self.http_only else []
        return "; ".join(parts)


DEFAULT_COOKIE = AnonymousCookie()


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is read of a request."""

    scheme: str
    # With port, as in the Host header.
    host: str
    path: str
    query: str
    # A header by its name in lower case; None: it was not sent.
    header: Callable[[str], str | None] = field(repr=False)
    ip: str | None = None


@dataclass(frozen=True, kw_only=True)
class Door(Generic[R]):
    """
    Opens a visit for each request. Its fields are what the middlewares take as arguments.

    R is the framework's request, which the providers get. They are asked when an event is recorded, not before.
    """

    # The id of the user who is signed in.
    user: Provider[R] | None = None
    # The id of the account that the request is for.
    account: Provider[R] | None = None
    # What the visitor allows, by purpose or category; None: they were not asked yet.
    consent: ConsentProvider[R] | None = None
    # None: visitors get no cookie, and events without a user no anonymous id.
    cookie: AnonymousCookie | None = DEFAULT_COOKIE
    include_ip: bool = False
    # Query strings may hold secrets, such as the token of a password reset. Campaigns are read in any case.
    include_query: bool = False
    # Whether ``DNT: 1`` keeps the cookie away.
    respect_dnt: bool = False

    def open(self, request: Request, native: R) -> "Visit":
        """Begin a request. native: the framework's request, for the providers."""
        return Visit(self, request, native)


class Visit:
    """One request: its scope while it lasts, and what becomes of the visitor's cookie."""

    def __init__(self, door: Door[Any], request: Request, native: Any) -> None:
        self._door = door
        self._request = request
        self._consent = None if door.consent is None else partial(door.consent, native)
        self._came_with = self._cookie_id()
        self._visitor = None if door.cookie is None else Visitor(self._came_with, lambda: str(uuid4()))
        self._scope = Scope(
            user_id=None if door.user is None else partial(door.user, native),
            group_id=None if door.account is None else partial(door.account, native),
            consent=self._consent,
            context=lambda: self._context,
            visitor=self._visitor,
        )

    @contextmanager
    def inside(self) -> Iterator[None]:
        """
        The request's scope holds inside. To be entered again, it remembers what was changed in it.

        What is outside, be it a leftover of another request, neither comes in nor is changed.
        """
        outside = active.get()
        active.set(self._scope)
        try:
            yield
        finally:
            self._scope = active.get() or self._scope
            active.set(outside)

    def headers(self) -> list[tuple[str, str]]:
        """What the answer needs beside its own headers. To be asked when its headers are sent, inside."""
        value, cookie = self.cookie_value(), self._door.cookie
        if value is None or cookie is None:
            return []
        # Else a shared cache could give one visitor's id to all.
        return [("Set-Cookie", cookie.header(value, self._request.scheme)), ("Vary", "Cookie")]

    def cookie_value(self) -> str | None:
        """What the cookie is to hold from now on; the empty text: it goes away. None: it stays as it is."""
        visitor, cookie = self._visitor, self._door.cookie
        if visitor is None or cookie is None:
            return None
        if visitor.made_id is not None and self._may_set(cookie):
            return visitor.made_id
        withdrawn = self._states().get(cookie.purpose) is False
        return "" if self._came_with and (visitor.was_reset or withdrawn) else None

    def _may_set(self, cookie: AnonymousCookie) -> bool:
        if self._door.respect_dnt and self._request.header("dnt") == "1":
            return False
        return self._consent is None or self._states().get(cookie.purpose) is True

    def _states(self) -> Mapping[str, bool]:
        states = asked("consent", self._consent)
        return states if isinstance(states, Mapping) else {}

    def _cookie_id(self) -> str | None:
        if self._door.cookie is None:
            return None
        for part in (self._request.header("cookie") or "").split(";"):
            name, _, value = part.strip().partition("=")
            if name == self._door.cookie.name:
                # Older browser SDKs write the id as JSON text.
                plain = unquote(value).strip('"')
                return plain if _ID.fullmatch(plain) else None
        return None

    @cached_property
    def _context(self) -> dict[str, Any]:
        request, door = self._request, self._door
        search = f"?{request.query}" if request.query and door.include_query else ""
        page = {
            "url": f"{request.scheme}://{request.host}{request.path}{search}",
            "path": request.path,
            "search": search,
            "referrer": self._referrer(),
        }
        found: dict[str, Any] = {
            "page": _cut(page, TEXT_MAX),
            "userAgent": (request.header("user-agent") or "")[:TEXT_MAX],
            "campaign": campaign(request.query),
            "ip": request.ip if door.include_ip else None,
            "gpc": request.header("sec-gpc") == "1",
            "dnt": request.header("dnt") == "1",
        }
        return {name: value for name, value in found.items() if value}

    def _referrer(self) -> str:
        referrer = self._request.header("referer") or ""
        if self._door.include_query:
            return referrer
        try:
            return urlunsplit((*urlsplit(referrer)[:3], "", ""))
        except ValueError:
            return ""


def campaign(query: str) -> dict[str, str]:
    """The campaign that a query string names by its ``utm_`` parameters."""
    if "utm_" not in query:
        return {}
    try:
        pairs = parse_qsl(query, max_num_fields=200)
    except ValueError:
        return {}
    return _cut({_CAMPAIGN[name]: value for name, value in pairs if name in _CAMPAIGN}, CAMPAIGN_TEXT_MAX)


def _cut(texts: Mapping[str, str], length: int) -> dict[str, str]:
    """Each text that there is, no longer than so much."""
    return {name: text[:length] for name, text in texts.items() if text}
