"""
Request bodies: read under a cap, and decompressed under the same cap.

Content-Type says nothing here: browsers send JSON as text/plain, others label gzipped JSON as a form. Content-Length is
a hint too: chunked bodies have none, and a bomb's is small.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass

from assay.contract.errors import AssayError
from assay_collector.web.replies import Environ

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP, _ZLIB, _RAW_DEFLATE = 31, 15, -15
_MEMBERS_MAX = 64
_LAYERS_MAX = 2
# What a client still sends after its body was found too large is thrown away, up to this much: closing on it would
# look like a broken network, and be tried again for hours.
_DISCARD_BYTES_MAX = 32 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024


@dataclass(eq=False)
class BodyRefused(AssayError):
    """A body that cannot be taken in as it came."""

    status: int
    code: str
    detail: str
    body: bytes = b""  # what there is of it, where it is worth keeping

    def __str__(self) -> str:
        return self.detail


def read_body(environ: Environ, bytes_max: int) -> bytes:
    """
    The whole body, decompressed.

    Args:
        bytes_max: At most this many bytes, both as sent and decompressed.

    Raises:
        BodyRefused: Too large (413), cut off (400), or compressed in a way that cannot be undone (400, 415).
    """
    body = _read_raw(environ, bytes_max)
    encoding = environ.get("HTTP_CONTENT_ENCODING")
    if encoding is None and body[:2] != _GZIP_MAGIC:
        return body
    return _decompress(body, encoding or "gzip", bytes_max)


def _read_raw(environ: Environ, bytes_max: int) -> bytes:
    declared = _declared_length(environ)
    if declared is None and not environ.get("wsgi.input_terminated"):
        return b""
    read = environ["wsgi.input"].read
    wanted = bytes_max + 1 if declared is None else min(declared, bytes_max + 1)
    body = _read_up_to(read, wanted)
    if len(body) > bytes_max:
        _discard(read, _DISCARD_BYTES_MAX if declared is None else declared - len(body))
        raise BodyRefused(413, "payload_too_large", f"a body has at most {bytes_max} bytes")
    if len(body) < wanted and declared is not None:
        raise BodyRefused(400, "incomplete_body", "the body ended before its announced length")
    return body


def _declared_length(environ: Environ) -> int | None:
    if environ.get("HTTP_TRANSFER_ENCODING") and environ.get("wsgi.input_terminated"):
        return None
    length = environ.get("CONTENT_LENGTH")
    return int(length) if length and length.isdecimal() and length.isascii() and len(length) < 19 else None


def _read_up_to(read: Callable[[int], bytes], wanted: int) -> bytes:
    body = _read_some(read, wanted)
    if len(body) == wanted or not body:
        return body
    parts, missing = [body], wanted - len(body)
    while missing and (part := _read_some(read, missing)):
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def _read_some(read: Callable[[int], bytes], wanted: int) -> bytes:
    try:
        return read(wanted)
    except Exception as error:
        # Every server has its own type for a client that went away.
        raise BodyRefused(400, "incomplete_body", "the body could not be read to its end") from error


def _discard(read: Callable[[int], bytes], rest: int) -> None:
    if rest > _DISCARD_BYTES_MAX:
        return
    while rest > 0 and (part := _read_some(read, min(rest, _CHUNK_BYTES))):
        rest -= len(part)


def _decompress(body: bytes, encoding: str, bytes_max: int) -> bytes:
    layers = [layer.strip().lower() for layer in encoding.split(",")]
    if len(layers) > _LAYERS_MAX:
        raise BodyRefused(415, "unsupported_encoding", f"at most {_LAYERS_MAX} content encodings", body)
    for layer in reversed(layers):
        if layer in ("gzip", "x-gzip"):
            body = _gunzip(body, bytes_max)
        elif layer == "deflate":
            body = _inflate_either(body, bytes_max)
        elif layer not in ("", "identity"):
            raise BodyRefused(415, "unsupported_encoding", "send gzip, deflate, or no content encoding", body)
    return body


def _gunzip(body: bytes, bytes_max: int) -> bytes:
    # A proxy that decompresses and leaves the header is common enough; plain JSON is taken as it is.
    if _looks_plain(body):
        return body
    parts: list[bytes] = []
    rest, left = body, bytes_max
    for _ in range(_MEMBERS_MAX):
        part, rest = _inflate(rest, _GZIP, left, body)
        parts.append(part)
        left -= len(part)
        if rest[:2] != _GZIP_MAGIC:
            return b"".join(parts)
    raise BodyRefused(400, "invalid_encoding", f"at most {_MEMBERS_MAX} gzip members", body)


def _inflate_either(body: bytes, bytes_max: int) -> bytes:
    """`deflate` means zlib's format; many send the bare stream."""
    if _looks_plain(body):
        return body
    is_zlib = len(body) > 1 and body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0
    return _inflate(body, _ZLIB if is_zlib else _RAW_DEFLATE, bytes_max, body)[0]


def _inflate(data: bytes, window_bits: int, bytes_max: int, body: bytes) -> tuple[bytes, bytes]:
    """What one compressed stream holds, and what follows it."""
    stream = zlib.decompressobj(window_bits)
    try:
        plain = stream.decompress(data, bytes_max + 1)
    except zlib.error:
        raise BodyRefused(400, "invalid_encoding", "the body is not what its Content-Encoding says", body) from None
    if len(plain) > bytes_max:
        raise BodyRefused(413, "payload_too_large", "the body is too large once decompressed")
    if not stream.eof:
        raise BodyRefused(400, "invalid_encoding", "the compressed body is cut off", body)
    return plain, stream.unused_data


def _looks_plain(body: bytes) -> bool:
    return not body or body.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"[")
