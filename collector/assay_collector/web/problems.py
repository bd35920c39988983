"""
Every error as clients of the tracking API can read it: JSON with ``success``, ``code``, ``message`` and ``error``.

Old SDKs send a 4xx again unless its body has both ``code`` and ``message``, and Ruby's sends anything again that is not
JSON. 410 and 460 mean "again" to SDKs, 501, 505 and 511 mean "never", 202 and 204 make some send a second copy: none of
these is ever answered. Nothing of the payload is ever echoed.
"""

import logging
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from flask import Flask, Response
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from assay_collector.store import StoreUnavailable
from assay_collector.web.logs import log
from assay_collector.web.replies import Reply, to_json

RETRY_SECONDS_MIN = 5
RETRY_SECONDS_MAX = 30
STATUSES_NEVER = frozenset({202, 204, 410, 460, 501, 505, 511})

_logger = logging.getLogger("assay_collector.web")
_CODES = {
    400: ("invalid_request", "the request is not valid"),
    401: ("unauthorized", "a valid key is needed"),
    403: ("forbidden", "this key may not do that"),
    404: ("not_found", "there is nothing at this path"),
    405: ("method_not_allowed", "this path does not take this method"),
    413: ("payload_too_large", "the request is too large"),
    415: ("unsupported_encoding", "this content encoding is not understood"),
}


def problem(
    status: int,
    code: str,
    message: str,
    headers: tuple[tuple[str, str], ...] = (),
    extra: Mapping[str, Any] | None = None,
) -> Reply:
    """
    An error answer.

    Args:
        code: Stable, for programs.
        message: For people; quotes nothing that was sent.
        extra: Members beside the four that every error has.
    """
    document = {"success": False, "code": code, "message": message, "error": message, **(extra or {})}
    return Reply(status, to_json(document), headers)


def retry_after_seconds(random: float) -> int:
    """
    When a refused client should come back.

    At least five seconds: some SDKs do not count such retries, and a small value makes them a storm. Spread out, so
    that those refused together do not return together.

    Args:
        random: Uniform in [0, 1).
    """
    return RETRY_SECONDS_MIN + int(random * (RETRY_SECONDS_MAX - RETRY_SECONDS_MIN + 1))


def unavailable(random: float, code: str = "unavailable", message: str | None = None) -> Reply:
    """503: nothing was stored, and sending it again is right."""
    seconds = retry_after_seconds(random)
    return problem(
        503,
        code,
        message or f"nothing was stored; try again in {seconds} seconds",
        (("Retry-After", str(seconds)),),
    )


def store_unavailable(error: StoreUnavailable, random: float) -> Reply:
    """503, with the reason in the log; clients need not know the database's words."""
    log(_logger, logging.WARNING, "assay.store_unavailable", reason=error.reason)
    return unavailable(random)


def bug(error: BaseException, random: float) -> Reply:
    """500 for an exception that nothing should have raised, with a number under which the log tells where."""
    incident = f"{int(random * 16**12):012x}"
    # The exception's own text may quote the payload, so only its type and its way are kept.
    frames = traceback.extract_tb(error.__traceback__)
    log(
        _logger,
        logging.ERROR,
        "assay.request_failed",
        incident=incident,
        error=type(error).__name__,
        at=[f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-8:]],
    )
    return problem(500, "internal", f"this is a bug of the collector; its log names incident {incident}")


def as_response(reply: Reply) -> Response:
    """A reply as Flask wants it."""
    return Response(reply.body, reply.status, reply.header_list())


def install(app: Flask, random: Callable[[], float]) -> None:
    """Make JSON of every error that Flask, Werkzeug or a view raises."""

    @app.errorhandler(HTTPException)
    def _http(error: HTTPException) -> Response:
        return as_response(_http_problem(error))

    @app.errorhandler(StoreUnavailable)
    def _store(error: StoreUnavailable) -> Response:
        return as_response(store_unavailable(error, random()))

    @app.errorhandler(Exception)
    def _bug(error: Exception) -> Response:
        return as_response(bug(error, random()))


def _http_problem(error: HTTPException) -> Reply:
    status = error.code if error.code in _CODES else 400
    code, message = _CODES[status]
    headers: tuple[tuple[str, str], ...] = ()
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        headers = (("Allow", ", ".join(sorted(error.valid_methods))),)
    return problem(status, code, message, headers)
