"""Scopes: what calls fill in, what wins over what, and that nothing leaks from one thread or task into another."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as tuned
from hypothesis import strategies as st

import assay
from assay.testing import CapturingTransport


@pytest.fixture
def transport() -> CapturingTransport:
    return CapturingTransport()


@pytest.fixture
def client(transport: CapturingTransport) -> Iterator[assay.Client]:
    with assay.Client("http://collector.test", "key", transport=transport) as client:
        yield client


def identities(client: assay.Client, transport: CapturingTransport) -> list[tuple[Any, Any, Any]]:
    """User, anonymous id and account of the events so far."""
    assert 0 == client.flush()
    return [
        (event.get("userId"), event.get("anonymousId"), event["context"].get("groupId")) for event in transport.events
    ]


def contexts(client: assay.Client, transport: CapturingTransport) -> list[dict[str, Any]]:
    """The contexts of the events so far, without what the library says of itself."""
    assert 0 == client.flush()
    return [
        {name: value for name, value in event["context"].items() if name != "library"} for event in transport.events
    ]


def test_calls_fill_in_what_they_lack(client, transport):
    """User, anonymous id, account, consent and surroundings come from the scope."""
    with assay.scope(
        user_id="u1", anonymous_id="a1", group_id="acme", consent={"analytics": True}, context={"ip": "192.0.2.1"}
    ):
        client.track(event="Seen")
        client.group(traits={"seats": 3})
        client.alias("old")
    client.track("u2", "Seen")
    common = {"consent": {"categoryPreferences": {"analytics": True}}, "ip": "192.0.2.1"}

    assert [("u1", "a1", "acme"), ("u1", "a1", None), ("u1", None, "acme"), ("u2", None, None)] == identities(
        client, transport
    )
    assert "acme" == transport.events[1]["groupId"]
    assert [{**common, "groupId": "acme"}, common, {**common, "groupId": "acme"}, {}] == contexts(client, transport)


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ({}, ("u1", "a1", "acme")),
        ({"user_id": "u1"}, ("u1", "a1", "acme")),
        ({"user_id": "u2"}, ("u2", None, "acme")),
        ({"anonymous_id": "a1"}, ("u1", "a1", "acme")),
        ({"anonymous_id": "a2"}, (None, "a2", "acme")),
        ({"user_id": "u2", "anonymous_id": "a2"}, ("u2", "a2", "acme")),
        ({"context": {"groupId": "other"}}, ("u1", "a1", "other")),
    ],
    ids=["nothing", "same user", "other user", "same visitor", "other visitor", "both", "account"],
)
def test_a_call_that_names_somebody_else_is_not_stitched_to_the_scope(client, transport, named, expected):
    """What an admin does for somebody else never makes the two one person."""
    with assay.scope(user_id="u1", anonymous_id="a1", group_id="acme"):
        client.track(event="Seen", **named)

    assert [expected] == identities(client, transport)


def test_scopes_nest_and_end(client, transport):
    """An inner scope adds to the outer one; another user in it is another person; after it all is as before."""
    with assay.scope(user_id="u1", anonymous_id="a1", context={"app": "shop", "page": {"path": "/"}}):
        with assay.scope(group_id="acme", context={"page": {"path": "/cart"}}):
            client.track(event="Seen")
        with assay.scope(user_id="u2"):
            client.track(event="Seen")
        with pytest.raises(ZeroDivisionError), assay.scope(user_id="u3"):
            client.track(event="Seen", properties={"n": 1 // 0})
        client.track(event="Seen", context={"app": "admin"})

    assert [("u1", "a1", "acme"), ("u2", None, None), ("u1", "a1", None)] == identities(client, transport)
    assert [
        {"app": "shop", "page": {"path": "/cart"}, "groupId": "acme"},
        {"app": "shop", "page": {"path": "/"}},
        {"app": "admin", "page": {"path": "/"}},
    ] == contexts(client, transport)
    assert assay.Scope() == assay.current_scope()


def test_who_signs_in_and_out_within_a_scope(client, transport):
    """A sign-in keeps the anonymous id, so the past is stitched; a reset forgets both, as does the end."""
    with assay.scope(anonymous_id="a1"):
        assay.update_scope(user_id="u1")
        client.identify()
        client.reset()
        client.track(event="Seen", anonymous_id="a2")
        with assay.scope(user_id="u9"):
            pass
    with assay.scope(anonymous_id="a3"):
        client.track(event="Seen")

    assert [("u1", "a1", None), (None, "a2", None), (None, "a3", None)] == identities(client, transport)


def test_functions_are_asked_at_each_event(client, transport, caplog):
    """What a function says now counts; what it raises costs the value, one log line, and nothing else."""
    user = iter(["u1", "u2"])
    with assay.scope(
        user_id=lambda: next(user), anonymous_id="a1", group_id=lambda: 1 // 0, consent=lambda: {"analytics": False}
    ):
        for _ in range(4):
            client.track(event="Seen")
    lines = [record.getMessage() for record in caplog.records if "provider_failed" in record.getMessage()]

    assert [("u1", "a1", None), ("u2", "a1", None), (None, "a1", None), (None, "a1", None)] == identities(
        client, transport
    )
    assert {"consent": {"categoryPreferences": {"analytics": False}}} == contexts(client, transport)[-1]
    assert [
        "assay.provider_failed provider=group_id error=ZeroDivisionError",
        "assay.provider_failed provider=user_id error=StopIteration",
    ] == sorted(lines)


def test_what_is_no_mapping_harms_nothing(client, transport):
    """Whatever an app gives as context or consent, the event is sent."""
    with (
        assay.scope(user_id="u1", context=lambda: "text", consent=lambda: ["analytics"]),
        assay.scope(context={"n": float("nan")}),
    ):
        client.track(event="Seen")

    assert [{"n": None, "consent": {"categoryPreferences": {}}}] == contexts(client, transport)


def test_nobody_writes_a_context_past_the_encoder(client, transport):
    """JSON in pieces of the app's own is no mapping, with a scope or without."""
    client.track("u1", "Seen", context=msgspec.Raw(b"}{"))
    with assay.scope(user_id="u1", context={"n": 1}):
        client.track(event="Seen", context=msgspec.Raw(b"}{"))

    assert [{}, {"n": 1}] == contexts(client, transport)


def test_a_version_named_by_the_scope_is_the_events(client, transport):
    """A schemaVersion in a scope's context is the one that the plan is asked for."""
    with assay.scope(user_id="u1", context={"schemaVersion": "1-0-0"}):
        client.track(event="Seen")

    assert [{"schemaVersion": "1-0-0"}] == contexts(client, transport)


def test_threads_start_without_a_scope_unless_it_is_handed_over(client, transport):
    """A new thread and a pool's have none; a copied context, and asyncio.to_thread, bring it along."""

    def seen(who: str) -> None:
        client.track(event="Seen", anonymous_id=None if assay.current_scope().user_id else who)

    with assay.scope(user_id="u1"), ThreadPoolExecutor(1) as pool:
        copied = copy_context()
        for target, arguments in ((seen, ("plain",)), (copied.run, (seen, "copied"))):
            thread = threading.Thread(target=target, args=arguments)
            thread.start()
            thread.join()
        pool.submit(seen, "pooled").result()
        asyncio.run(asyncio.to_thread(seen, "to_thread"))

    assert [(None, "plain", None), ("u1", None, None), (None, "pooled", None), ("u1", None, None)] == identities(
        client, transport
    )


async def nested(client: assay.Client, n: int) -> None:
    with assay.scope(context={"nested": n}):
        await asyncio.sleep(0)
        client.track(event="Seen")


async def named(client: assay.Client, n: int) -> None:
    assay.update_scope(group_id=f"g{n}")
    client.group()


async def in_thread(client: assay.Client, n: int) -> None:
    await asyncio.to_thread(client.track, event="Seen")


async def in_task(client: assay.Client, n: int) -> None:
    await asyncio.create_task(named(client, n))


STEPS = st.lists(st.sampled_from([nested, named, in_thread, in_task]), min_size=1, max_size=6)


async def request(client: assay.Client, n: int, steps: list[Any]) -> None:
    with assay.scope(user_id=f"u{n}", anonymous_id=f"a{n}", context={"request": n}):
        for step in steps:
            await asyncio.sleep(0)
            await step(client, n)


@tuned(max_examples=tuned.default.max_examples // 5)
@given(plans=st.lists(STEPS, min_size=2, max_size=6))
def test_nothing_leaks_between_tasks(plans):
    """However requests interleave on one event loop, each event has the ids of its own request."""
    transport = CapturingTransport()

    async def serve() -> None:
        async with assay.Client("http://collector.test", "key", transport=transport) as client:
            await asyncio.gather(*(request(client, n, steps) for n, steps in enumerate(plans)))
            client.track(event="Seen", anonymous_id="outside")

    asyncio.run(serve())

    assert sum(map(len, plans)) + 1 == len(transport.events)
    for event in transport.events[:-1]:
        n = event["context"]["request"]
        assert (f"u{n}", f"a{n}") == (event["userId"], event["anonymousId"])
        assert {f"g{n}", n} >= {event.get("groupId", n), event["context"].get("groupId", n)}
        assert n == event["context"].get("nested", n)
    assert {"library"} == set(transport.events[-1]["context"])


def test_nothing_leaks_between_threads(client, transport):
    """Eight threads that serve one request after the other: every event has the ids of its own."""
    barrier = threading.Barrier(8)

    def serve(thread: int) -> None:
        barrier.wait()
        for n in range(50):
            with assay.scope(user_id=f"u{thread}-{n}", anonymous_id=f"a{thread}-{n}", context={"n": f"{thread}-{n}"}):
                client.track(event="Seen")
                assay.reset()
                client.track(event="Seen", anonymous_id=f"b{thread}-{n}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(serve, range(8)))
    assert 0 == client.flush()

    assert 800 == len(transport.events)
    for event in transport.events:
        n = event["context"]["n"]
        assert (event.get("userId"), event["anonymousId"]) in ((f"u{n}", f"a{n}"), (None, f"b{n}"))
