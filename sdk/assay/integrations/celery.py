"""
Scopes for Celery: a task runs in the scope of whoever published it.

``install()`` once, where the app is made, in publishers and workers alike. User, anonymous id, account, consent and
context then travel in the message's headers; each task begins with what came, and nothing stays after it. When a worker
process is told to end, what it has tracked is sent first.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from celery import signals

from assay import lifecycle
from assay.scopes import Scope, active, current_scope

__all__ = ["install"]

HEADER = "assay_scope"
_FIELDS = ("user_id", "anonymous_id", "group_id", "consent", "context")
_UID = "assay"

# The scopes outside of the tasks that run in this thread; tasks may run others within, eagerly.
_outside: ContextVar[tuple[Scope | None, ...]] = ContextVar("assay_outside_tasks", default=())


def install() -> None:
    """Connect to Celery's signals; a second call changes nothing."""
    signals.before_task_publish.connect(_send_along, weak=False, dispatch_uid=_UID)
    signals.task_prerun.connect(_enter, weak=False, dispatch_uid=_UID)
    signals.task_postrun.connect(_leave, weak=False, dispatch_uid=_UID)
    # A worker process ends past its exit handlers.
    signals.worker_process_shutdown.connect(_end, weak=False, dispatch_uid=_UID)


def _send_along(headers: dict[str, Any] | None = None, **_: Any) -> None:
    if headers is None or HEADER in headers:
        return
    scope = current_scope()
    found = {name: getattr(scope, name) for name in _FIELDS}
    told = {name: _plain(value) for name, value in found.items() if value}
    if told:
        headers[HEADER] = told


def _enter(task: Any = None, **_: Any) -> None:
    outside = active.get()
    _outside.set((*_outside.get(), outside))
    request = getattr(task, "request", None)
    # An eager task was not published: it runs in the caller's scope, as a function would.
    if not getattr(request, "is_eager", False):
        active.set(_received(request))


def _leave(**_: Any) -> None:
    *others, outside = _outside.get() or (None,)
    _outside.set(tuple(others))
    active.set(outside)


def _end(**_: Any) -> None:
    lifecycle.end()


def _received(request: Any) -> Scope | None:
    told = getattr(request, HEADER, None) or (getattr(request, "headers", None) or {}).get(HEADER)
    if not isinstance(told, Mapping):
        return None
    return Scope(**{name: told[name] for name in _FIELDS if told.get(name)})


def _plain(value: Any) -> Any:
    """In a form that every serialiser takes."""
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value if isinstance(value, bool | int | float | str | None) else str(value)
