"""What the web floor is given, and what may be set about it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry

from assay.contract.plan import Plan
from assay_collector.ingest.port import Ingest
from assay_collector.privacy.consent import ConsentReader
from assay_collector.privacy.office import Office
from assay_collector.qualify.identity_desk import IdentityDesk
from assay_collector.store import Store
from assay_collector.web.readmodels import Explainer


def _never() -> bool:
    return False


@dataclass(frozen=True, kw_only=True, slots=True)
class Services:
    """The pieces that the web floor stands on."""

    store: Store
    ingest: Ingest
    explainer: Explainer
    now: Callable[[], int]  # microseconds since the epoch
    random: Callable[[], float]  # uniform in [0, 1)
    office: Office | None = None  # where persons' requests are entered; None: nowhere here
    identity: IdentityDesk | None = None  # who says who is who; None: nobody here
    consent: ConsentReader | None = None  # who answers for the consent log; None: nobody here
    draining: Callable[[], bool] = _never  # whether the process was told to stop
    plan: Plan | None = None
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)  # where other stages add their metrics


@dataclass(frozen=True, kw_only=True, slots=True)
class WebSettings:
    """What an operator may set about the web floor. `assay_collector.settings` gives each its origin."""

    body_bytes_max: int = 5 * 1024 * 1024  # of a request body, before and after decompression
    batch_events_max: int = 10_000  # messages in one batch
    public_url: str | None = None  # where browsers reach us, e.g. https://events.example.com; None: as the request says
    proxy_hops: int = 0  # how many reverse proxies of ours append to X-Forwarded-For
    cors_origins: frozenset[str] | None = None  # None: any site may send
    metrics_token: str | None = None  # bearer token of /metrics; None: open
    key_cache_seconds: float = 5.0  # how long a revoked key may still work
    ready_backlog_seconds_max: float | None = None  # /readyz fails when a decision waits longer; None: never
