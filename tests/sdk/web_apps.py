"""One small app in five frameworks, each with its middleware, and a browser for it."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import django
import httpx
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import path
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from flask import Flask, g, request, stream_with_context

import assay
from assay.integrations import asgi, wsgi
from assay.integrations.flask import init_app
from assay.testing import CapturingTransport

CONSENTS = {"yes": {"analytics": True}, "no": {"analytics": False}, "other": {"sales_contact": True}}


class House:
    """
    The app's part that is the same in all frameworks: its client, and what its pages do.

    ``/seen`` records an event, ``/quiet`` none; ``/in`` signs u1 in and ``/out`` out; ``/stream`` records while it
    streams.
    """

    def __init__(self) -> None:
        self.transport = CapturingTransport()
        self.client = assay.Client("http://collector.test", "key", transport=self.transport, linger_seconds=0)

    @property
    def events(self) -> list[dict[str, Any]]:
        assert 0 == self.client.flush()
        return self.transport.events

    def page(self, name: str, sign_in: Callable[[str], None]) -> None:
        if name == "in":
            self.client.track(event="Came")
            sign_in("u1")
            self.client.identify(traits={"plan": "trial"})
        elif name == "out":
            assay.reset()
        elif name == "seen":
            self.client.track(event="Seen")

    def chunks(self) -> Iterator[str]:
        for n in range(3):
            self.client.track(event="Streamed", properties={"n": n})
            yield f"{n};"


Answer = httpx.Response


class Browser:
    """Asks an app over its own protocol, and keeps cookies."""

    def __init__(self, app: Any, *, is_async: bool, url: str) -> None:
        self._app, self._is_async, self._url = app, is_async, url
        self.cookies = httpx.Cookies()

    def get(self, path: str, headers: dict[str, str] | None = None) -> Answer:
        answer = asyncio.run(self._get_async(path, headers)) if self._is_async else self._get(path, headers)
        self.cookies.extract_cookies(answer)
        return answer

    def _get(self, path: str, headers: dict[str, str] | None) -> Answer:
        with httpx.Client(transport=httpx.WSGITransport(self._app), **self._options()) as http:
            return http.get(path, headers=headers)

    async def _get_async(self, path: str, headers: dict[str, str] | None) -> Answer:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self._app), **self._options()) as http:
            return await http.get(path, headers=headers)

    def _options(self) -> dict[str, Any]:
        return {"base_url": self._url, "cookies": self.cookies, "headers": {"User-Agent": "Browser/1.0"}}


def plain_wsgi(house: House, **options: Any) -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        name = environ["PATH_INFO"].strip("/")
        house.page(name, lambda user: environ.update({"app.user": user}))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return (chunk.encode() for chunk in house.chunks()) if name == "stream" else [b"ok"]

    return wsgi.ScopeMiddleware(
        app,
        user=lambda environ: environ.get("app.user") or environ.get("HTTP_X_USER"),
        account=lambda environ: environ["HTTP_X_ACCOUNT"],
        **consenting(options, lambda environ: environ.get("HTTP_X_CONSENT")),
    )


def flask(house: House, **options: Any) -> Any:
    app = Flask("shop")

    @app.get("/<name>")
    def page(name: str) -> Any:
        house.page(name, lambda user: setattr(g, "user", user))
        return stream_with_context(house.chunks()) if name == "stream" else "ok"

    init_app(
        app,
        user=lambda: g.get("user") or request.headers.get("X-User"),
        account=lambda: request.headers["X-Account"],
        **{
            name: (lambda given=value: given(None)) if name == "consent" else value
            for name, value in consenting(options, lambda _: request.headers.get("X-Consent")).items()
        },
    )
    return app


def plain_asgi(house: House, **options: Any) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        name = scope["path"].strip("/")
        house.page(name, lambda user: scope.update({"app.user": user}))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        for chunk in house.chunks() if name == "stream" else ("ok",):
            await send({"type": "http.response.body", "body": chunk.encode(), "more_body": True})
        await send({"type": "http.response.body"})

    return asgi.ScopeMiddleware(
        app,
        user=lambda scope: scope.get("app.user") or header(scope, "x-user"),
        account=lambda scope: dict(scope["headers"])[b"x-account"].decode(),
        **consenting(options, lambda scope: header(scope, "x-consent")),
    )


def fastapi(house: House, **options: Any) -> Any:
    app = FastAPI()

    @app.get("/{name}")
    def page(name: str, request: Request) -> Any:  # runs in a thread, as it is no coroutine
        house.page(name, lambda user: setattr(request.state, "user", user))
        return StreamingResponse(house.chunks()) if name == "stream" else "ok"

    app.add_middleware(
        asgi.ScopeMiddleware,
        user=lambda scope: scope.get("state", {}).get("user") or header(scope, "x-user"),
        account=lambda scope: dict(scope["headers"])[b"x-account"].decode(),
        **consenting(options, lambda scope: header(scope, "x-consent")),
    )
    return app


if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["*"],
        SECRET_KEY="not secret",
        ROOT_URLCONF=__name__,
        MIDDLEWARE=["assay.integrations.django.ScopeMiddleware"],
        SECURE_PROXY_SSL_HEADER=None,
    )
    django.setup()

_house: list[House] = []


def _django_page(request: Any, name: str) -> Any:
    _house[0].page(name, lambda user: setattr(request, "app_user", user))
    return StreamingHttpResponse(_house[0].chunks()) if name == "stream" else HttpResponse("ok")


async def _django_page_async(request: Any, name: str) -> Any:
    async def chunks() -> Any:
        for chunk in _house[0].chunks():
            await asyncio.sleep(0)
            yield chunk

    _house[0].page(name, lambda user: setattr(request, "app_user", user))
    return StreamingHttpResponse(chunks()) if name == "stream" else HttpResponse("ok")


urlpatterns = [path("<name>", _django_page)]


class AsyncUrls:
    """The URLs whose views are coroutines."""

    urlpatterns = [path("<name>", _django_page_async)]  # noqa: RUF012 - as Django reads it


def django_wsgi(house: House, **options: Any) -> Any:
    return _django(WSGIHandler, house, options, __name__)


def django_asgi(house: House, **options: Any) -> Any:
    return _django(ASGIHandler, house, options, AsyncUrls)


def _django(handler: Any, house: House, options: dict[str, Any], urls: Any) -> Any:
    _house[:] = [house]
    settings.ROOT_URLCONF = urls
    settings.ASSAY = {
        "user": lambda request: getattr(request, "app_user", None) or request.headers.get("X-User"),
        "account": lambda request: request.headers["X-Account"],
        **consenting(options, lambda request: request.headers.get("X-Consent")),
    }
    return handler()


def header(scope: Any, name: str) -> str | None:
    found = dict(scope["headers"]).get(name.encode())
    return None if found is None else found.decode()


def consenting(options: dict[str, Any], word: Callable[[Any], str | None]) -> dict[str, Any]:
    """The options, with a consent provider that reads a word where one is wanted."""
    wanted = options.pop("asks_consent", False)
    return {**options, "consent": lambda native: CONSENTS.get(word(native))} if wanted else options


APPS = {
    "wsgi": (plain_wsgi, False),
    "flask": (flask, False),
    "django": (django_wsgi, False),
    "asgi": (plain_asgi, True),
    "fastapi": (fastapi, True),
    "django async": (django_asgi, True),
}


@contextlib.contextmanager
def opened(kind: str, url: str = "https://shop.example", **options: Any) -> Iterator[tuple[House, Browser]]:
    """A house and a browser in front of its app."""
    house = House()
    make, is_async = APPS[kind]
    with house.client:
        yield house, Browser(make(house, **options), is_async=is_async, url=url)
