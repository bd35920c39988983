"""Reading a body, against servers of different habits."""

import gzip
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay_collector.web.bodies import BodyRefused, read_body

CAP = 2_000


class Dripping:
    """A stream that gives at most three bytes at a time, as sockets may."""

    def __init__(self, data: bytes) -> None:
        self._stream = io.BytesIO(data)

    def read(self, size: int) -> bytes:
        return self._stream.read(min(size, 3))


class Broken:
    """A stream whose client went away."""

    def read(self, size: int) -> bytes:
        raise RuntimeError("client disconnected")


def environ(data: bytes | Any, **more: Any) -> dict[str, Any]:
    return {"wsgi.input": io.BytesIO(data) if isinstance(data, bytes) else data, **more}


def refusal(environment: dict[str, Any]) -> tuple[int, str]:
    with pytest.raises(BodyRefused) as refused:
        read_body(environment, CAP)
    return refused.value.status, refused.value.code


def test_a_terminated_stream_is_read_to_its_end() -> None:
    """Without a length, in whatever pieces it comes."""
    assert b"abcdefgh" == read_body(environ(Dripping(b"abcdefgh"), **{"wsgi.input_terminated": True}), CAP)


def test_a_length_is_where_an_endless_stream_ends() -> None:
    """Reading past it would wait for ever on some servers."""
    assert b"abc" == read_body(environ(b"abcdefgh", CONTENT_LENGTH="3"), CAP)


@pytest.mark.parametrize("length", ["", "-1", "abc", "1e3", "٣", "9" * 30])
def test_a_length_that_is_none(length: str) -> None:
    """Without a way to know the end there is no body; with one, the end is the end."""
    assert b"" == read_body(environ(b"abc", CONTENT_LENGTH=length), CAP)
    assert b"abc" == read_body(environ(b"abc", CONTENT_LENGTH=length, **{"wsgi.input_terminated": True}), CAP)


def test_chunked_wins_over_a_length() -> None:
    """As the HTTP specification has it."""
    chunked = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}

    assert b"abcdef" == read_body(environ(b"abcdef", CONTENT_LENGTH="2", **chunked), CAP)


def test_bodies_that_end_early() -> None:
    """Shorter than announced, or broken off by an exception of the server's own."""
    assert (400, "incomplete_body") == refusal(environ(b"abc", CONTENT_LENGTH="4"))
    assert (400, "incomplete_body") == refusal(environ(Broken(), CONTENT_LENGTH="4"))


def test_the_cap_holds_before_and_after_decompression() -> None:
    """A body at the cap is taken; one more byte is refused, however it is packed."""
    for pack in (bytes, gzip.compress):
        fits, too_large = pack(b"a" * CAP), pack(b"a" * (CAP + 1))

        assert CAP == len(read_body(environ(fits, CONTENT_LENGTH=str(len(fits))), CAP))
        assert (413, "payload_too_large") == refusal(environ(too_large, CONTENT_LENGTH=str(len(too_large))))


def test_many_gzip_members_are_one_cap() -> None:
    """Neither many members nor many layers get around it."""
    many = gzip.compress(b"a" * 700) * 3
    assert (413, "payload_too_large") == refusal(environ(many, CONTENT_LENGTH=str(len(many))))
    empty = gzip.compress(b"") * 65
    assert (400, "invalid_encoding") == refusal(environ(empty, CONTENT_LENGTH=str(len(empty))))
    layers = {"HTTP_CONTENT_ENCODING": "gzip,gzip,gzip"}
    assert (415, "unsupported_encoding") == refusal(environ(b"abc", CONTENT_LENGTH="3", **layers))


@given(
    st.binary(max_size=200), st.sampled_from(["gzip", "deflate", "x-gzip", "br", "gzip,deflate", "", ",,", "identity"])
)
def test_any_bytes_are_read_or_refused(data: bytes, encoding: str) -> None:
    """Nothing but BodyRefused comes out of it."""
    environment = environ(data, CONTENT_LENGTH=str(len(data)), HTTP_CONTENT_ENCODING=encoding)
    try:
        body = read_body(environment, CAP)
    except BodyRefused as refused:
        status, body = refused.status, b""
    else:
        status = 200

    assert status in (200, 400, 413, 415)
    assert len(body) <= CAP
