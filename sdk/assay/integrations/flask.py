"""Scopes for Flask apps."""

from collections.abc import Callable, Mapping
from typing import Any

from flask import Flask

from assay.integrations.visits import DEFAULT_COOKIE, AnonymousCookie
from assay.integrations.wsgi import ScopeMiddleware
from assay.scopes import Id

__all__ = ["AnonymousCookie", "init_app"]


def init_app(
    app: Flask,
    *,
    user: Callable[[], Id | None] | None = None,
    account: Callable[[], Id | None] | None = None,
    consent: Callable[[], Mapping[str, bool] | None] | None = None,
    cookie: AnonymousCookie | None = DEFAULT_COOKIE,
    include_ip: bool = False,
    include_query: bool = False,
    respect_dnt: bool = False,
) -> None:
    """
    Give each request of the app a scope: who makes it, for which account, with what consent, and from which page.

    The providers get nothing, as Flask's ``request``, ``session`` and ``g`` are at hand. They are asked when an event
    is recorded, so who signs in during the request is the user from then on. Behind a proxy, put werkzeug's ProxyFix
    on ``app.wsgi_app`` after this, or scheme and address are the proxy's.

    Args:
        app: The app.
        user: Says the id of the user who is signed in, such as ``lambda: session.get("user_id")``.
        account: Says the id of the account that the request is for.
        consent: Says what the visitor allows, by purpose or category; None: they were not asked yet. With a provider,
            a cookie is set only for visitors who have granted ``cookie.purpose``.
        cookie: The cookie with the browser's anonymous id, set when the first event needs it; None: no cookie.
        include_ip: Whether events carry the client's address.
        include_query: Whether pages and referrers keep their query strings, which may hold secrets.
        respect_dnt: Whether ``DNT: 1`` keeps the cookie away.
    """
    middleware = ScopeMiddleware(
        app.wsgi_app,
        user=_without_argument(user),
        account=_without_argument(account),
        consent=_without_argument(consent),
        cookie=cookie,
        include_ip=include_ip,
        include_query=include_query,
        respect_dnt=respect_dnt,
    )
    app.wsgi_app = middleware  # type: ignore[method-assign]  # as Flask's documentation has it


def _without_argument(provider: Callable[[], Any] | None) -> Callable[[object], Any] | None:
    return None if provider is None else lambda _environ: provider()
