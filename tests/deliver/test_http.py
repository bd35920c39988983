"""Sending over real HTTP, to a real receiver."""

import logging
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from standardwebhooks import Webhook

from assay_collector.deliver import Answer, Endpoint, NoAnswer
from assay_collector.outbound.http import HttpSender
from assay_collector.outbound.network import Resolve, resolve

from .builders import SECRET, a_message, an_endpoint
from .receiver import CERTIFICATE, Receiver, Reply, receiving


def real_now() -> int:
    """The signature's own library compares with the real clock."""
    return time.time_ns() // 1000


def local(receiver: Receiver, **settings: Any) -> Endpoint:
    return an_endpoint(url=receiver.url, allow_private=True, **settings)


@pytest.fixture
def sender() -> Iterator[HttpSender]:
    sender = HttpSender()
    yield sender
    sender.close()


def resolving(**names: Sequence[str]) -> Resolve:
    """A resolver that knows these names; dots are written as underscores."""
    return lambda host, port: names[host.replace(".", "_")]


def test_the_receivers_library_accepts_the_signature(sender: HttpSender) -> None:
    """The bytes that arrive are the message's, and verify under the endpoint's secret."""
    with receiving() as receiver:
        result = sender.send(local(receiver), a_message(), real_now())
    [received] = receiver.received

    assert Answer(status=204) == result
    assert a_message().body == received.body
    assert {"type": "pql.qualified", "id": "msg_1"} == Webhook(SECRET).verify(received.body, received.headers)
    assert "msg_1" == received.headers["webhook-id"]
    assert "application/json" == received.headers["content-type"]


def test_a_redirect_is_not_followed(sender: HttpSender) -> None:
    """Its answer is the redirect itself; the target is never asked."""
    with receiving() as target, receiving(lambda _: Reply(307, {"location": target.url})) as receiver:
        result = sender.send(local(receiver), a_message(), real_now())

    assert Answer(status=307) == result
    assert [] == target.received


def test_the_answer_is_kept_short_and_plain(sender: HttpSender) -> None:
    """A long and colourful body becomes 200 characters of visible ASCII, with Retry-After beside it."""
    reply = Reply(503, {"retry-after": "30"}, b"\x1b[31m\xff\n" + b"x" * 1_000_000)
    with receiving(lambda _: reply) as receiver:
        result = sender.send(local(receiver), a_message(), real_now())

    assert isinstance(result, Answer)
    assert (503, "30") == (result.status, result.retry_after)
    assert ("\\x1b[31m\\ufffd\\n" + "x" * 200)[:200] == result.excerpt


def test_a_compressed_answer_is_not_unpacked(sender: HttpSender) -> None:
    """A small body that would unpack to a large one stays small."""
    reply = Reply(500, {"content-encoding": "gzip"}, b"\x1f\x8b not really")
    with receiving(lambda _: reply) as receiver:
        result = sender.send(local(receiver), a_message(), real_now())

    assert Answer(status=500, excerpt="\\x1f\\ufffd not really") == result


def test_cookies_are_not_kept(sender: HttpSender) -> None:
    """What a receiver wants remembered is not sent back to it."""
    with receiving(lambda _: Reply(200, {"set-cookie": "a=b"})) as receiver:
        for _ in range(2):
            sender.send(local(receiver), a_message(), real_now())

    assert ["cookie" in received.headers for received in receiver.received] == [False, False]


def test_a_password_in_the_url_becomes_basic_authentication(
    sender: HttpSender, caplog: pytest.LogCaptureFixture
) -> None:
    """It is sent as the header, and it and the query are in no log, however talkative."""
    caplog.set_level(logging.DEBUG)
    with receiving() as receiver:
        url = receiver.url.replace("//", "//me:s3cret@") + "?token=t0ken"
        sender.send(an_endpoint(url=url, allow_private=True), a_message(), real_now())
    [received] = receiver.received

    assert "Basic bWU6czNjcmV0" == received.headers["authorization"]
    assert "/hooks?token=t0ken" == received.path
    assert not [w for w in ("s3cret", "t0ken", "bWU6czNjcmV0", SECRET[6:], "webhook-signature") if w in caplog.text]


def test_proxies_of_the_environment_are_not_used(sender: HttpSender, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would resolve the name itself, past our check."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with receiving() as receiver:
        assert Answer(status=204) == sender.send(local(receiver), a_message(), real_now())


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["::1"],
        ["10.0.0.7"],
        ["0.0.0.0"],
        ["169.254.169.254"],
        ["::ffff:127.0.0.1"],
        ["::ffff:169.254.169.254"],
        ["64:ff9b::7f00:1"],
        ["fe80::1%lo"],
        ["224.0.0.1"],
        ["93.184.215.14", "127.0.0.1"],
        ["2606:4700:4700::1111", "fd00::1"],
    ],
    ids=",".join,
)
def test_a_name_that_leads_inside_is_refused(addresses: list[str]) -> None:
    """One forbidden address among several is enough, and nothing is sent to any of them."""
    with receiving() as receiver:
        sender = HttpSender(resolve=resolving(hooks_example_test=addresses))
        url = f"http://hooks.example.test:{receiver.server_port}/"
        result = sender.send(an_endpoint(url=url), a_message(), real_now())
        sender.close()

    assert isinstance(result, NoAnswer)
    assert "refused" == result.kind
    assert result.detail.startswith("hooks.example.test resolves to ")
    assert [] == receiver.received


def test_metadata_services_are_refused_even_where_private_is_allowed() -> None:
    """An endpoint inside the house is no way to the cloud's credentials."""
    sender = HttpSender(resolve=resolving(hooks_example_test=["169.254.169.254"]))
    result = sender.send(an_endpoint(allow_private=True), a_message(), real_now())
    sender.close()

    detail = "hooks.example.test resolves to 169.254.169.254, which is link-local, and that is not allowed"
    assert NoAnswer(kind="refused", detail=detail) == result


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "0177.0.0.1", "127.1", "localhost"])
def test_odd_spellings_resolve_to_what_is_refused(host: str) -> None:
    """Where a spelling slips past the settings, the system's resolver still gives its address away."""
    endpoint = an_endpoint()
    object.__setattr__(endpoint, "url", f"http://{host}:9/")
    sender = HttpSender()
    result = sender.send(endpoint, a_message(), real_now())
    sender.close()

    assert isinstance(result, NoAnswer)
    assert "refused" == result.kind


def test_a_name_is_resolved_once_and_the_socket_goes_where_it_was_checked() -> None:
    """A name that changes its mind between check and connection is not asked a second time."""
    asked: list[str] = []

    def rebinding(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]

    with receiving() as receiver:
        sender = HttpSender(resolve=rebinding)
        url = f"http://hooks.example.test:{receiver.server_port}/"
        result = sender.send(an_endpoint(url=url, allow_private=True), a_message(), real_now())
        sender.close()

    assert Answer(status=204) == result
    assert ["hooks.example.test"] == asked
    assert f"hooks.example.test:{receiver.server_port}" == receiver.received[0].headers["host"]


def test_an_address_that_does_not_answer_is_followed_by_the_next(sender: HttpSender) -> None:
    """With several checked addresses, one dead machine does not cost the message."""
    sender = HttpSender(resolve=resolving(hooks_example_test=["127.0.0.2", "127.0.0.1"]))
    with receiving() as receiver:
        url = f"http://hooks.example.test:{receiver.server_port}/"
        result = sender.send(an_endpoint(url=url, allow_private=True), a_message(), real_now())
    sender.close()

    assert Answer(status=204) == result


def test_a_kept_connection_of_a_trusting_endpoint_serves_no_other() -> None:
    """An endpoint that may not reach private addresses cannot do so over a connection that another one opened."""
    with receiving() as receiver:
        sender = HttpSender(resolve=resolving(hooks_example_test=["127.0.0.1"]))
        url = f"http://hooks.example.test:{receiver.server_port}/"
        results = [
            sender.send(an_endpoint(url=url, allow_private=allowed), a_message(), real_now())
            for allowed in (True, False)
        ]
        sender.close()

    assert [Answer, NoAnswer] == [type(result) for result in results]


def trusting_sender(**names: Sequence[str]) -> HttpSender:
    context = ssl.create_default_context(cafile=str(CERTIFICATE))
    return HttpSender(ssl_context=context, resolve=resolving(**names))


def test_tls_asks_for_and_verifies_the_name_not_the_address() -> None:
    """Though the socket goes to a checked address, server name, certificate and Host are the URL's."""
    sender = trusting_sender(hooks_example_test=["127.0.0.1"])
    with receiving(tls=True) as receiver:
        url = f"https://hooks.example.test:{receiver.server_port}/"
        result = sender.send(an_endpoint(url=url, allow_private=True), a_message(), real_now())
        sender.close()

    assert Answer(status=204) == result
    assert ["hooks.example.test"] == receiver.server_names
    assert f"hooks.example.test:{receiver.server_port}" == receiver.received[0].headers["host"]


def test_a_certificate_of_another_name_is_not_accepted() -> None:
    """Whoever answers at the address must prove to be who the URL names."""
    sender = trusting_sender(other_example_test=["127.0.0.1"])
    with receiving(tls=True) as receiver:
        url = f"https://other.example.test:{receiver.server_port}/"
        result = sender.send(an_endpoint(url=url, allow_private=True), a_message(), real_now())
        sender.close()

    assert isinstance(result, NoAnswer)
    assert "unreachable" == result.kind
    assert "certificate verify failed" in result.detail
    assert [] == receiver.received


def test_nobody_at_the_address_is_a_result(sender: HttpSender) -> None:
    """A refused connection is no exception."""
    with receiving() as receiver:
        endpoint = local(receiver)
    result = sender.send(endpoint, a_message(), real_now())

    assert isinstance(result, NoAnswer)
    assert "unreachable" == result.kind


def test_a_name_without_an_address_is_a_result() -> None:
    """So is a host that does not exist."""

    def unknown(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(-2, "Name or service not known")

    sender = HttpSender(resolve=unknown)
    result = sender.send(an_endpoint(), a_message(), real_now())
    sender.close()

    assert (
        NoAnswer(
            kind="unreachable",
            detail="hooks.example.test cannot be resolved: [Errno -2] Name or service not known",
        )
        == result
    )


def test_hanging_up_is_a_result(sender: HttpSender) -> None:
    """A receiver that takes the message and says nothing has not accepted it."""
    with receiving(lambda _: None) as receiver:
        result = sender.send(local(receiver), a_message(), real_now())

    assert isinstance(result, NoAnswer)
    assert "broken" == result.kind


@pytest.mark.parametrize("trickle", [b"", b"HTTP/1.1 200 OK\r\nX-Slow: "], ids=["silent", "a byte at a time"])
def test_the_deadline_holds_whatever_the_receiver_does(sender: HttpSender, trickle: bytes) -> None:
    """Silence, or a head that comes byte by byte, ends when the endpoint's time is over, not later."""
    done = threading.Event()

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(trickle)
            while not done.wait(0.05):
                if trickle:
                    connection.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        started = time.monotonic()
        result = sender.send(an_endpoint(url=url, allow_private=True, timeout_seconds=0.3), a_message(), real_now())
        took = time.monotonic() - started
        done.set()
        thread.join()

    assert NoAnswer(kind="timeout", detail="no whole answer within 0.3 seconds") == result
    assert took < 5


def test_a_body_that_never_ends_does_not_unsay_the_status(sender: HttpSender) -> None:
    """The status counts as soon as it is there."""
    with receiving(lambda _: Reply(200, {"content-length": "1000"}, b"ok")) as receiver:
        result = sender.send(local(receiver, timeout_seconds=1), a_message(), real_now())

    assert Answer(status=200, excerpt="ok") == result


def test_the_systems_resolver_gives_each_address_once() -> None:
    """Literal addresses resolve to themselves, so that they pass the same check."""
    assert ["127.0.0.1"] == resolve("127.0.0.1", 80)
