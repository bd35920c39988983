"""Scopes for every WSGI app."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from assay.integrations.visits import DEFAULT_COOKIE, AnonymousCookie, ConsentProvider, Door, Provider, Request, Visit

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["AnonymousCookie", "ScopeMiddleware"]


class ScopeMiddleware:
    """
    Gives each request a scope: who makes it, for which account, with what consent, and from which page.

    The providers get the WSGI environment. They are asked when an event is recorded, and what they raise is logged
    once and never reaches the request. The scope holds while the body is streamed, too.

    Args:
        app: The app.
        user: Says the id of the user who is signed in.
        account: Says the id of the account that the request is for.
        consent: Says what the visitor allows, by purpose or category; None: they were not asked yet. With a provider,
            a cookie is set only for visitors who have granted ``cookie.purpose``.
        cookie: The cookie with the browser's anonymous id, set when the first event needs it; None: no cookie.
        include_ip: Whether events carry the client's address, as the server says it.
        include_query: Whether pages and referrers keep their query strings, which may hold secrets.
        respect_dnt: Whether ``DNT: 1`` keeps the cookie away.
    """

    def __init__(
        self,
        app: "WSGIApplication",
        *,
        user: "Provider[WSGIEnvironment] | None" = None,
        account: "Provider[WSGIEnvironment] | None" = None,
        consent: "ConsentProvider[WSGIEnvironment] | None" = None,
        cookie: AnonymousCookie | None = DEFAULT_COOKIE,
        include_ip: bool = False,
        include_query: bool = False,
        respect_dnt: bool = False,
    ) -> None:
        self.app = app
        self._door: Door[WSGIEnvironment] = Door(
            user=user,
            account=account,
            consent=consent,
            cookie=cookie,
            include_ip=include_ip,
            include_query=include_query,
            respect_dnt=respect_dnt,
        )

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """See PEP 3333."""
        visit = self._door.open(_request(environ), environ)

        def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
            return start_response(status, [*headers, *visit.headers()], *exc_info)

        with visit.inside():
            body = self.app(environ, start)
        # What is complete needs no scope any more, and a server may have a quick way for its own files.
        files = environ.get("wsgi.file_wrapper")
        is_file = isinstance(files, type) and isinstance(body, files)
        return body if isinstance(body, list | tuple) or is_file else _Streamed(body, visit)


class _Streamed:
    """A body whose chunks are made inside of the visit."""

    def __init__(self, body: Iterable[bytes], visit: Visit) -> None:
        self._body = body
        self._visit = visit
        self._chunks: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        with self._visit.inside():
            if self._chunks is None:
                self._chunks = iter(self._body)
            return next(self._chunks)

    def close(self) -> None:
        """Close the app's body, as PEP 3333 asks for."""
        close = getattr(self._body, "close", None)
        if close is not None:
            with self._visit.inside():
                close()


def _request(environ: "WSGIEnvironment") -> Request:
    def header(name: str) -> str | None:
        value = environ.get("HTTP_" + name.upper().replace("-", "_"))
        return value if isinstance(value, str) else None

    return Request(
        scheme=environ.get("wsgi.url_scheme", "http"),
        host=header("host") or f"{environ.get('SERVER_NAME', '')}:{environ.get('SERVER_PORT', '')}",
        # PEP 3333 has bytes as Latin-1 text.
        path=quote(environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", ""), "/;=,", "latin-1", "replace"),
        query=environ.get("QUERY_STRING", ""),
        header=header,
        ip=environ.get("REMOTE_ADDR"),
    )
