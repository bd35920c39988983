"""What the web floor measures about itself, in Prometheus's form, without global state."""

import re
from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from assay_collector.store import Outcome, StoreUnavailable
from assay_collector.web.services import Services

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
# The only names that become labels: anyone may post to /v1/m.
_SDK_METRICS = frozenset(
    f"analytics_js.{name}"
    for name in ("invoke", "invoke.error", "action.invoke", "action.invoke.error", "integration.invoke", "dropped")
)


# What a report of our own SDK may name; its reasons are assay.delivery.DropReason.
CLIENT_OUTCOMES = ("tracked", "delivered", "recovered")
CLIENT_REASONS = (
    "malformed",
    "too_large",
    "invalid",
    "before_send",
    "before_send_failed",
    "scrub_failed",
    "queue_full",
    "closed",
    "unauthorized",
    "rejected",
    "expired",
    "damaged",
    "deadline",
)
_CLIENT_COUNT_MAX = 1_000_000_000
_VERSION = re.compile(r"[0-9]{1,3}(\.[0-9]{1,4}){1,3}([a-z.+-][0-9a-z.]{0,9})?")
_VERSIONS_MAX = 30


class RequestMeter:
    """One path family's metrics, their label children at hand."""

    def __init__(self, metrics: "Metrics", family: str) -> None:
        self._requests = metrics.requests
        self._family = family
        self._by_status: dict[int, Counter] = {}
        self._seconds = metrics.seconds.labels(family)

    def count(self, status: int, seconds: float) -> None:
        """One request was answered."""
        child = self._by_status.get(status)
        if child is None:
            child = self._by_status[status] = self._requests.labels(self._family, str(status))
        child.inc()
        self._seconds.observe(seconds)


class Metrics:
    """The counters and histograms. Labels are bounded: families, statuses, codes and sources are ours."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "assay_requests", "Requests by path family and status", ["path", "status"], registry=registry
        )
        self.seconds = Histogram(
            "assay_request_seconds", "Time to answer a request", ["path"], buckets=_SECONDS, registry=registry
        )
        self.bytes = Counter("assay_body_bytes", "Bytes of tracking bodies, decompressed", registry=registry)
        self.events = Counter(
            "assay_events", "Messages by source and what became of them", ["source", "outcome"], registry=registry
        )
        self.traffic = Counter(
            "assay_marked_events",
            "Stored events that are a bot's, or the house's own",
            ["source", "traffic"],
            registry=registry,
        )
        self.refused = Counter("assay_requests_refused", "Tracking requests refused whole", ["code"], registry=registry)
        self.key_conflicts = Counter(
            "assay_key_conflicts", "Requests naming two write keys; the Authorization header's won", registry=registry
        )
        self.server_key_in_browser = Counter(
            "assay_server_key_in_browser",
            "Requests from a browser with a server key: it is public now, replace it",
            ["source"],
            registry=registry,
        )
        self.sdk_metrics = Counter("assay_sdk_metrics", "What SDKs report on themselves", ["metric"], registry=registry)
        self.client_events = Counter(
            "assay_client_events",
            "What SDKs of ours report: events tracked, delivered, and recovered from a dead process",
            ["source", "library_version", "outcome"],
            registry=registry,
        )
        self.client_dropped = Counter(
            "assay_client_dropped",
            "What SDKs of ours report: events that were dropped before they came here",
            ["source", "library_version", "reason"],
            registry=registry,
        )
        self.client_retried = Counter(
            "assay_client_retried",
            "What SDKs of ours report: requests sent again",
            ["source", "library_version"],
            registry=registry,
        )
        self._versions: set[str] = set()
        self._meters: dict[str, RequestMeter] = {}
        self._outcomes: dict[tuple[str, str], Counter] = {}

    def meter(self, family: str) -> RequestMeter:
        """The meter of a path family."""
        meter = self._meters.get(family)
        if meter is None:
            meter = self._meters[family] = RequestMeter(self, family)
        return meter

    def count_outcomes(self, source: str, outcomes: Sequence[Outcome]) -> None:
        """What became of a request's messages."""
        if len(outcomes) == 1 and outcomes[0].traffic is None:
            self._outcome(source, outcomes[0].status).inc()
            return
        totals: dict[str, int] = {}
        for outcome in outcomes:
            totals[outcome.status] = totals.get(outcome.status, 0) + 1
            if outcome.traffic is not None:
                self.traffic.labels(source, outcome.traffic).inc()
        for status, total in totals.items():
            self._outcome(source, status).inc(total)

    def count_sdk_metric(self, name: object, value: float) -> None:
        """One line of an SDK's report."""
        label = name if isinstance(name, str) and name in _SDK_METRICS else "other"
        self.sdk_metrics.labels(label).inc(value)

    def count_client_metric(self, source: str, name: object, value: object, tags: object) -> bool:
        """
        One line of a report by a client of ours.

        Returns:
            Whether it was one. Labels are bounded: known words, and a few versions.
        """
        if not isinstance(tags, dict) or not isinstance(value, int) or not 0 <= value <= _CLIENT_COUNT_MAX:
            return False
        version = self._version(tags.get("library_version"))
        if name == "assay_sdk.events" and tags.get("outcome") in CLIENT_OUTCOMES:
            self.client_events.labels(source, version, tags["outcome"]).inc(value)
        elif name == "assay_sdk.dropped":
            reason = tags.get("reason")
            self.client_dropped.labels(source, version, reason if reason in CLIENT_REASONS else "other").inc(value)
        elif name == "assay_sdk.retried":
            self.client_retried.labels(source, version).inc(value)
        else:
            return False
        return True

    def _version(self, version: object) -> str:
        if not isinstance(version, str) or not _VERSION.fullmatch(version):
            return "other"
        if version not in self._versions and len(self._versions) >= _VERSIONS_MAX:
            return "other"
        self._versions.add(version)
        return version

    def _outcome(self, source: str, status: str) -> Counter:
        child = self._outcomes.get((source, status))
        if child is None:
            child = self._outcomes[source, status] = self.events.labels(source, status)
        return child


class Backlog(Collector):
    """What waits inside, asked of the store whenever somebody looks."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def describe(self) -> list[GaugeMetricFamily]:
        """Nothing is asked of the store at registration."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges; only `assay_store_up` when the store does not answer."""
        store = self._services.store
        try:
            due, waited = store.agenda.backlog(self._services.now())
            pending = store.outbox.pending()
            refused = store.agenda.link_counts()
            waiting, overdue = self._services.office.overdue() if self._services.office is not None else (0, 0)
        except StoreUnavailable:
            yield GaugeMetricFamily("assay_store_up", "Whether the store answers", 0)
            return
        yield GaugeMetricFamily("assay_store_up", "Whether the store answers", 1)
        yield GaugeMetricFamily("assay_agenda_due", "Entities waiting for a decision", due)
        yield GaugeMetricFamily(
            "assay_agenda_wait_seconds", "How long the longest of them has waited", waited / 1_000_000
        )
        yield GaugeMetricFamily("assay_outbox_pending", "Notifications waiting to be sent", pending)
        links = GaugeMetricFamily("assay_identity_links_refused", "Links that do not stand", labels=["reason"])
        for reason, count in refused.items():
            links.add_metric([reason], count)
        yield links
        yield GaugeMetricFamily("assay_privacy_requests_open", "Requests of persons that are under way", waiting)
        yield GaugeMetricFamily("assay_privacy_requests_overdue", "Those of them that are past their date", overdue)
