"""
Who acts, for which account, with what consent and in which surroundings: said once, valid for every call inside.

A scope is an immutable value in a context variable, so threads and tasks never see each other's. A coroutine's tasks,
``asyncio.to_thread`` and whatever else copies the context take the scope along; a new thread starts without one.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, TypeAlias, TypeVar
from uuid import UUID

from assay.calls import Call, mapping_of, written_context

Id = str | int | UUID
Json = Mapping[str, Any]
T = TypeVar("T")
# A value, or a function that is asked for it at each event.
Given: TypeAlias = T | Callable[[], T | None] | None

log = logging.getLogger("assay")


class Visitor:
    """One browser: the anonymous id that it came with, or one that is made when the first event needs it."""

    def __init__(self, known_id: str | None, new_id: Callable[[], str]) -> None:
        self.known_id = known_id
        self.was_reset = False
        self._new_id = new_id
        self._made: dict[str, str] = {}

    @property
    def made_id(self) -> str | None:
        """The id that was made for this browser, if one was needed."""
        return self._made.get("id")

    def needed_id(self) -> str:
        """The id that it came with or that was made for it; made now, if there is none."""
        return self.known_id or self._made.setdefault("id", self._new_id())  # atomic, so threads agree on one

    def reset(self) -> None:
        """Somebody else may be in front of the browser from now on."""
        self.known_id, self.was_reset, self._made = None, True, {}


@dataclass(frozen=True, kw_only=True)
class Scope:
    """
    What calls fill in where the caller left it out. Functions in place of values are asked at each event.

    What they raise never reaches the app: the value is then missing, and one log line says which.
    """

    user_id: Given[Id] = None
    anonymous_id: Given[Id] = None
    # The account in which things happen; sent as context.groupId.
    group_id: Given[Id] = None
    # What the person allows, by purpose or by a consent manager's category.
    consent: Given[Mapping[str, bool]] = None
    # Facts about the surroundings. A key of the caller's own context replaces the one here.
    context: Given[Json] = field(default_factory=lambda: MappingProxyType({}))
    # The browser of a request; its id is given to events that would otherwise have nobody.
    visitor: Visitor | None = None
    # What was written last for events without a context of their own: from what, and as what.
    _written: list[Any] = field(default_factory=lambda: [(None, None)], init=False, repr=False, compare=False)

    def resolved(self) -> "Scope":
        """The same with all functions asked."""
        known_id = None if self.visitor is None else self.visitor.known_id
        return Scope(
            user_id=asked("user_id", self.user_id),
            anonymous_id=asked("anonymous_id", self.anonymous_id) or known_id,
            group_id=asked("group_id", self.group_id),
            consent=asked("consent", self.consent),
            context=asked("context", self.context) or MappingProxyType({}),
        )


# The scope of this thread or task, if it has one.
active: ContextVar[Scope | None] = ContextVar("assay_scope", default=None)


@contextmanager
def scope(
    *,
    user_id: Given[Id] = None,
    anonymous_id: Given[Id] = None,
    group_id: Given[Id] = None,
    consent: Given[Mapping[str, bool]] = None,
    context: Given[Json] = None,
) -> Iterator[None]:
    """
    Fill in what calls inside the ``with`` leave out; what is not given here is as outside.

    Each value may be a function without arguments, asked at each event. A call's own arguments always win, and a call
    that names another user or another anonymous id than the scope gets neither of the scope's two.

    Args:
        user_id: Who acts.
        anonymous_id: Who acts, before the app knows them.
        group_id: In which account; sent as ``context.groupId``.
        consent: What the person allows, such as ``{"analytics": True, "sales_contact": False}``.
        context: Facts about the surroundings, added to those outside.
    """
    outside = active.get()
    active.set(_narrowed(outside, user_id, anonymous_id, group_id, consent, context))
    try:
        yield
    finally:
        active.set(outside)


def update_scope(
    *,
    user_id: Given[Id] = None,
    anonymous_id: Given[Id] = None,
    group_id: Given[Id] = None,
    consent: Given[Mapping[str, bool]] = None,
    context: Given[Json] = None,
) -> None:
    """
    Say more about the current scope, such as who has just signed in. It holds until that scope ends.

    Outside of any scope it holds for the rest of the thread or task, so open one first.
    """
    active.set(_narrowed(active.get(), user_id, anonymous_id, group_id, consent, context))


def current_scope() -> Scope:
    """The scope as it is now, with all functions asked; an empty one, if there is none."""
    found = active.get()
    return Scope() if found is None else found.resolved()


def reset() -> None:
    """
    Forget who acts, as at a sign-out: user, account and anonymous id, until the current scope ends.

    In a request with one of the middlewares, the browser's anonymous id is given up too: who comes next is somebody
    else.
    """
    found = active.get()
    if found is not None:
        active.set(replace(found, user_id=None, anonymous_id=None, group_id=None))
        if found.visitor is not None:
            found.visitor.reset()


def fill(call: Call, scope: Scope) -> None:
    """Fill in what a call leaves out."""
    user_id, visitor = asked("user_id", scope.user_id), scope.visitor
    anonymous_id = asked("anonymous_id", scope.anonymous_id) or (visitor and visitor.known_id)
    names_other_user = _differ(call.userId, user_id)
    if not call.userId and not _differ(call.anonymousId, anonymous_id):
        call.userId = user_id
    if not call.anonymousId and not names_other_user and call.type != "alias":
        call.anonymousId = anonymous_id
        if not call.userId and not anonymous_id and visitor is not None:
            call.anonymousId = visitor.needed_id()
    group_id = asked("group_id", scope.group_id)
    if call.type == "group" and not call.groupId:
        call.groupId = group_id
    surroundings = _surroundings(scope, None if call.type == "group" else group_id)
    if surroundings:
        own = None if call.context else _written(scope, surroundings)
        call.context = own or {**surroundings, **mapping_of(call.context)}


def asked(name: str, given: Any) -> Any:
    """The value, or what the function says. What it raises is logged, once for each kind, and means: no value."""
    if not callable(given):
        return given
    try:
        return given()
    except Exception as error:  # noqa: BLE001 - an app's request must not fail because of its analytics
        failure = name, type(error).__name__
        if failure not in _failures and len(_failures) < _FAILURES_MAX:
            _failures.add(failure)
            log.warning("assay.provider_failed provider=%s error=%s", *failure)
        return None


_failures: set[tuple[str, str]] = set()
_FAILURES_MAX = 100


def _surroundings(scope: Scope, group_id: object) -> dict[str, Any]:
    found = dict(mapping_of(asked("context", scope.context)))
    if group_id is not None:
        found["groupId"] = group_id
    consent = asked("consent", scope.consent)
    if consent is not None:
        found["consent"] = {"categoryPreferences": dict(mapping_of(consent))}
    return found


def _written(scope: Scope, surroundings: dict[str, Any]) -> Any:
    """The surroundings as final bytes. Most events of a request have the same, and to write them costs the most."""
    was, bytes_of_it = scope._written[0]
    if was != surroundings:
        bytes_of_it = written_context(surroundings)
        scope._written[0] = surroundings, bytes_of_it  # one assignment, so other threads see both or none
    return bytes_of_it


def _differ(one: object, other: object) -> bool:
    """Whether both are there and not the same id."""
    return bool(one) and bool(other) and str(one) != str(other)


def _narrowed(
    outside: Scope | None,
    user_id: Given[Id],
    anonymous_id: Given[Id],
    group_id: Given[Id],
    consent: Given[Mapping[str, bool]],
    context: Given[Json],
) -> Scope:
    base = outside or Scope()
    names_user = user_id is not None and base.user_id is not None
    if names_user and _differ(asked("user_id", user_id), asked("user_id", base.user_id)):
        # Whoever held the anonymous id until now is somebody else.
        base = replace(base, anonymous_id=None, visitor=None)
    given: dict[str, Any] = {"user_id": user_id, "anonymous_id": anonymous_id, "group_id": group_id, "consent": consent}
    if context is not None:
        given["context"] = context if _is_empty(base.context) else _both(base.context, context)
    return replace(base, **{name: value for name, value in given.items() if value is not None})


def _is_empty(context: Given[Json]) -> bool:
    return not callable(context) and not context


def _both(outer: Given[Json], inner: Given[Json]) -> Given[Json]:
    if not callable(outer) and not callable(inner):
        return {**mapping_of(outer), **mapping_of(inner)}
    return lambda: {**mapping_of(asked("context", outer)), **mapping_of(asked("context", inner))}
