"""
Scopes for Django: ``"assay.integrations.django.ScopeMiddleware"`` in MIDDLEWARE, after the authentication's.

Settings, all of them optional, are the items of ``ASSAY``: ``user``, ``account`` and ``consent`` are functions of the
request, or their dotted paths; ``cookie`` is an AnonymousCookie or None; ``include_ip``, ``include_query`` and
``respect_dnt`` are as in ``assay.integrations.wsgi.ScopeMiddleware``. By default the user is ``request.user``'s key.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.utils.cache import patch_vary_headers
from django.utils.module_loading import import_string

from assay.integrations.visits import DEFAULT_COOKIE, AnonymousCookie, Door, Request, Visit
from assay.scopes import Id

__all__ = ["AnonymousCookie", "ScopeMiddleware"]

_PROVIDERS = ("user", "account", "consent")
_SETTINGS = (*_PROVIDERS, "cookie", "include_ip", "include_query", "respect_dnt")
_USER_ID = "_assay_user_id"  # on a request of an async view, whose user may not be loaded in between


class ScopeMiddleware:
    """
    Gives each request a scope, in sync and async apps, also while a response is streamed.

    Raises:
        ImproperlyConfigured: ``settings.ASSAY`` has an item that is not known.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)
        self._door = _door(dict(getattr(settings, "ASSAY", {})))
        self._asks_django = self._door.user is _user_id

    def __call__(self, request: HttpRequest) -> Any:
        """See Django's documentation of middleware."""
        if self._is_async:
            return self._answer_async(request)
        visit = self._door.open(_request(request), request)
        with visit.inside():
            return self._finished(self._get_response(request), request, visit)

    async def _answer_async(self, request: HttpRequest) -> Any:
        visit = self._door.open(_request(request), request)
        with visit.inside():
            if self._asks_django:
                await _load_user(request)
            answer: Awaitable[Any] = self._get_response(request)
            return self._finished(await answer, request, visit)

    def _finished(self, response: Any, request: HttpRequest, visit: Visit) -> Any:
        cookie, value = self._door.cookie, visit.cookie_value()
        if cookie is not None and value is not None:
            response.set_cookie(
                cookie.name,
                value,
                max_age=cookie.max_age_seconds if value else 0,
                path=cookie.path,
                domain=cookie.domain,
                secure=cookie.is_secure(request.scheme or ""),
                httponly=cookie.http_only,
                samesite=cookie.same_site,
            )
            # Else a shared cache could give one visitor's id to all.
            patch_vary_headers(response, ("Cookie",))
        if response.streaming:
            chunks, stepwise = response.streaming_content, _stepwise_async if response.is_async else _stepwise
            response.streaming_content = stepwise(chunks, visit)
        return response


def _stepwise(chunks: Iterator[bytes], visit: Visit) -> Iterator[bytes]:
    iterator = iter(chunks)
    while True:
        with visit.inside():
            try:
                chunk = next(iterator)
            except StopIteration:
                return
        yield chunk


async def _stepwise_async(chunks: AsyncIterator[bytes], visit: Visit) -> AsyncIterator[bytes]:
    iterator = aiter(chunks)
    while True:
        with visit.inside():
            try:
                chunk = await anext(iterator)
            except StopAsyncIteration:
                return
        yield chunk


def _door(given: dict[str, Any]) -> Door[HttpRequest]:
    unknown = sorted(given.keys() - set(_SETTINGS))
    if unknown:
        known = ", ".join(_SETTINGS)
        raise ImproperlyConfigured(f"settings.ASSAY has unknown items: {', '.join(unknown)}; known are {known}")
    for name in _PROVIDERS:
        if isinstance(given.get(name), str):
            given[name] = import_string(given[name])
    return Door(**{"user": _user_id, "cookie": DEFAULT_COOKIE, **given})


def _user_id(request: HttpRequest) -> Id | None:
    """The key of who is signed in, by Django's own authentication."""
    loaded: Id | None = getattr(request, _USER_ID, None)
    if loaded is not None:
        return loaded
    user = getattr(request, "user", None)
    return user.pk if user is not None and user.is_authenticated else None


async def _load_user(request: HttpRequest) -> None:
    """Have the user at hand: an event may not wait for the database, and async views cannot ask it in passing."""
    load = getattr(request, "auser", None)
    if load is not None and settings.SESSION_COOKIE_NAME in request.COOKIES:
        user = await load()
        setattr(request, _USER_ID, user.pk if user.is_authenticated else None)


def _request(request: HttpRequest) -> Request:
    def header(name: str) -> str | None:
        value = request.headers.get(name)
        return value if isinstance(value, str) else None

    return Request(
        scheme=request.scheme or "http",
        host=request.META.get("HTTP_HOST") or request.META.get("SERVER_NAME", ""),
        # Percent-encoded.
        path=request.get_full_path().partition("?")[0],
        query=request.META.get("QUERY_STRING", ""),
        header=header,
        ip=request.META.get("REMOTE_ADDR"),
    )
