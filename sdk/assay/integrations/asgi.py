"""Scopes for every ASGI app: FastAPI, Starlette and their kin."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import quote

from assay.integrations.visits import DEFAULT_COOKIE, AnonymousCookie, ConsentProvider, Door, Provider, Request

__all__ = ["AnonymousCookie", "ScopeMiddleware"]

AsgiScope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[AsgiScope, Receive, Send], Awaitable[None]]

_STARTS = ("http.response.start", "websocket.accept")


class ScopeMiddleware:
    """
    Gives each request and WebSocket a scope: who makes it, for which account, with what consent, and from which page.

    The providers get the ASGI scope. They are asked when an event is recorded, so what the app finds out meanwhile and
    keeps in ``request.state`` (``scope["state"]``) is there; what they raise is logged once and never reaches the
    request. The arguments are those of ``assay.integrations.wsgi.ScopeMiddleware``.
    """

    def __init__(
        self,
        app: AsgiApp,
        *,
        user: Provider[AsgiScope] | None = None,
        account: Provider[AsgiScope] | None = None,
        consent: ConsentProvider[AsgiScope] | None = None,
        cookie: AnonymousCookie | None = DEFAULT_COOKIE,
        include_ip: bool = False,
        include_query: bool = False,
        respect_dnt: bool = False,
    ) -> None:
        self.app = app
        self._door: Door[AsgiScope] = Door(
            user=user,
            account=account,
            consent=consent,
            cookie=cookie,
            include_ip=include_ip,
            include_query=include_query,
            respect_dnt=respect_dnt,
        )

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """See the ASGI specification, version 3."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        visit = self._door.open(_request(scope), scope)

        async def send_with_cookie(message: Message) -> None:
            if message["type"] in _STARTS:
                own = [(name.lower().encode(), value.encode()) for name, value in visit.headers()]
                message = {**message, "headers": [*message.get("headers", ()), *own]} if own else message
            await send(message)

        with visit.inside():
            await self.app(scope, receive, send_with_cookie)


def _request(scope: AsgiScope) -> Request:
    headers = {bytes(name): bytes(value) for name, value in reversed(list(scope.get("headers", ())))}

    def header(name: str) -> str | None:
        value = headers.get(name.encode())
        return None if value is None else value.decode("latin-1")

    client, server = scope.get("client"), scope.get("server") or ("", None)
    scheme = str(scope.get("scheme", "http"))
    return Request(
        scheme={"ws": "http", "wss": "https"}.get(scheme, scheme),
        host=header("host") or ":".join(str(part) for part in server if part),
        path=quote(scope.get("path", ""), "/;=,", errors="replace"),
        query=bytes(scope.get("query_string", b"")).decode("latin-1"),
        header=header,
        ip=client[0] if client else None,
    )
