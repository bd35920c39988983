"""How apps use the SDK: strict type checkers have nothing to say about it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from fastapi import FastAPI
from flask import Flask, session

import assay
from assay import AssayError, Client, DropReason, Scope, Stats
from assay.integrations import asgi, wsgi
from assay.integrations.celery import install
from assay.integrations.flask import init_app
from assay.testing import CapturingTransport


def on_drop(reason: str, count: int) -> None:
    print(DropReason(reason), count)


def on_error(error: AssayError) -> None:
    print(error)


def consent() -> Mapping[str, bool] | None:
    return {"analytics": True}


def made() -> Client:
    return Client(
        "https://collect.example",
        "key",
        plan=Path("plan"),
        on_invalid="raise",
        when_full="drop_oldest",
        exit_seconds=2,
        handle_sigterm=False,
        on_drop=on_drop,
        on_error=on_error,
        transport=CapturingTransport(),
    )


def calls(client: Client) -> None:
    message_id: str | None = client.track("u1", "Task Assigned", {"task_id": "t1", "hours": 3.5, "tags": ["a"]})
    client.track(event="Seen", anonymous_id=UUID(int=1), timestamp=datetime.now(UTC), message_id=message_id)
    client.identify(17, {"email": "ada@example.com"})
    client.group("u1", "acme", {"seats": 12})
    client.page("u1", name="Pricing")
    client.screen(anonymous_id="a1", name="Home")
    client.alias("a1", "u1")
    client.reset()
    left: int = client.flush(timeout=1.0) + client.close()
    stats: Stats = client.stats()
    print(left, stats.tracked == stats.delivered + sum(stats.dropped.values()) + stats.pending)


async def coroutines() -> int:
    async with made() as client:
        client.track("u1", "Seen")
        return await client.aflush(1.0)


def default() -> None:
    client: Client = assay.configure("https://collect.example", "key", linger_seconds=1.0)
    message_id: str | None = assay.track("u1", "Seen", {"n": 1})
    assay.identify("u1", {"plan": "pro"})
    print(client, message_id, assay.flush(timeout=1.0), assay.stats().pending)


def scopes() -> None:
    with assay.scope(user_id="u1", group_id=lambda: 17, consent=consent, context={"app": "shop"}):
        assay.update_scope(anonymous_id=UUID(int=1))
        found: Scope = assay.current_scope()
        print(found.user_id, found.context)
    assay.reset()


def flask() -> Flask:
    app = Flask(__name__)
    init_app(app, user=lambda: session.get("user_id"), consent=consent, include_ip=True)
    return app


def fastapi() -> FastAPI:
    app = FastAPI()
    app.add_middleware(
        asgi.ScopeMiddleware,
        user=lambda scope: scope["state"].get("user_id"),
        cookie=asgi.AnonymousCookie(name="ajs_anonymous_id", http_only=False),
    )
    return app


def plain_wsgi() -> wsgi.ScopeMiddleware:
    return wsgi.ScopeMiddleware(flask().wsgi_app, user=lambda environ: environ.get("REMOTE_USER"), cookie=None)


def celery() -> None:
    install()
