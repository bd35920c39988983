"""What a client tells its collector about itself: how many events it tracked, delivered and dropped, and why."""

from collections.abc import Mapping
from typing import Any

from assay._version import __version__
from assay.buffer import Stats
from assay.encoding import encode

# How often, while there is something new. A process that ends sooner reports at its end, and only if it lost events.
REPORT_SECONDS = 60.0

Counts = Mapping[tuple[str, str, str], int]
NOTHING: Counts = {}


def counts(stats: Stats) -> Counts:
    """The counters, as (metric, label, value of the label) -> count."""
    events = {"tracked": stats.tracked, "delivered": stats.delivered, "recovered": stats.recovered}
    return {
        **{("assay_sdk.events", "outcome", outcome): count for outcome, count in events.items()},
        **{("assay_sdk.dropped", "reason", reason): count for reason, count in stats.dropped.items()},
        ("assay_sdk.retried", "", ""): stats.retried,
    }


def report(now: Counts, told: Counts) -> bytes | None:
    """
    What has happened since the last report, in the shape of SDK metrics (``POST /v1/m``).

    Returns:
        JSON, or None if nothing has.
    """
    news = {key: count - told.get(key, 0) for key, count in now.items() if count != told.get(key, 0)}
    return encode({"series": [_line(key, count) for key, count in news.items()]}) if news else None


def has_losses(now: Counts, told: Counts) -> bool:
    """Whether events were dropped since the last report."""
    return any(key[0] == "assay_sdk.dropped" and count != told.get(key, 0) for key, count in now.items())


def _line(key: tuple[str, str, str], count: int) -> dict[str, Any]:
    metric, label, value = key
    tags = {"library": "assay-python", "library_version": __version__, **({label: value} if label else {})}
    return {"type": "Counter", "metric": metric, "value": count, "tags": tags}
