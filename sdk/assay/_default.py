"""The default client of small apps: ``assay.configure(...)`` once, then ``assay.track(...)`` anywhere."""

import threading
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from assay.client import Client
from assay.errors import NotConfigured
from assay.lifecycle import hold_over_forks

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import TypedDict, Unpack

    from assay.buffer import WhenFull
    from assay.contract.plan import Plan
    from assay.delivery import SpoolSync
    from assay.inspection import BeforeSend, OnInvalid
    from assay.notices import OnDrop, OnError
    from assay.scrubbing import ScrubRule
    from assay.transport import Transport

    class ClientOptions(TypedDict, total=False):
        """The optional arguments of Client."""

        plan: Plan | Path | str | None
        follow_plan_seconds: float | None
        on_invalid: OnInvalid
        before_send: BeforeSend | None
        scrub: Mapping[str, ScrubRule] | None
        scrub_key: bytes | str | None
        queue_events_max: int
        when_full: WhenFull
        block_seconds: float
        batch_events_max: int
        batch_bytes_max: int
        linger_seconds: float
        gzip: bool
        timeout_seconds: float
        retry_seconds_max: float
        breaker_failures: int
        breaker_seconds: float
        spool: Path | str | None
        spool_bytes_max: int
        spool_seconds_max: float
        spool_sync: SpoolSync
        exit_seconds: float
        handle_sigterm: bool
        on_drop: OnDrop | None
        on_error: OnError | None
        trust_env: bool
        transport: Transport | None


P = ParamSpec("P")
R = TypeVar("R")


_client: Client | None = None
_changing = hold_over_forks(threading.Lock())


def configure(url: str, write_key: str, **options: "Unpack[ClientOptions]") -> Client:
    """Make the default client, with the arguments of ``Client``; one made before is closed."""
    global _client
    client = Client(url, write_key, **options)
    with _changing:
        previous, _client = _client, client
    if previous is not None:
        previous.close()
    return client


def _of_default(method: Callable[Concatenate[Client, P], R]) -> Callable[P, R]:
    """The method, called on the default client."""

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if _client is None:
            raise NotConfigured
        return method(_client, *args, **kwargs)

    return call


track = _of_default(Client.track)
identify = _of_default(Client.identify)
group = _of_default(Client.group)
page = _of_default(Client.page)
screen = _of_default(Client.screen)
alias = _of_default(Client.alias)
flush = _of_default(Client.flush)
close = _of_default(Client.close)
stats = _of_default(Client.stats)
