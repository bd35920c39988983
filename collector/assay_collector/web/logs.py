"""
Structured logs: one JSON object a line, with a fixed event name and fields.

A payload, a key or a token is never logged. Control characters cannot leave a line: JSON escapes them.
"""

import json
import logging
from typing import TextIO

from assay.contract.times import format_instant

_TEXT_CHARS_MAX = 2_000


class JsonFormatter(logging.Formatter):
    """Writes a record as ``{"at", "level", "logger", "event", ...fields}``."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, ASCII only."""
        document = {
            "at": format_instant(int(record.created * 1_000_000)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage()[:_TEXT_CHARS_MAX],
        }
        document.update(getattr(record, "fields", {}))
        if record.exc_info and record.exc_info[0] is not None:
            # Its text may quote what was sent; its type cannot.
            document["error"] = record.exc_info[0].__name__
        # JSON leaves DEL alone, terminals do not.
        return json.dumps(document, default=_brief, separators=(",", ":")).replace("\x7f", "\\u007f")


def log(logger: logging.Logger, level: int, event: str, **fields: object) -> None:
    """
    Log an event by its fixed name.

    Args:
        event: e.g. ``assay.store_unavailable``; never built from data.
        fields: Numbers, ids and our own words; never anything a client wrote.
    """
    logger.log(level, event, extra={"fields": fields})


def install(stream: TextIO, level: int = logging.INFO) -> logging.Handler:
    """Send every logger's records to `stream` as JSON lines, in place of handlers set before."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(handlers=[handler], level=level, force=True)
    return handler


def _brief(value: object) -> str:
    return str(value)[:_TEXT_CHARS_MAX]
