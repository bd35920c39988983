"""``assay serve``."""

import sys
from dataclasses import replace

import click

from assay_collector.app import Loaded, load
from assay_collector.cli.opening import opened
from assay_collector.cli.options import settings_options
from assay_collector.server import free_port, run
from assay_collector.settings import Resolved, Settings
from assay_collector.stores.sqlite.claim import Claim


@click.command(
    help="""Run the collector until SIGTERM or Ctrl-C; open requests are finished first.

    `assay settings` shows each setting with its meaning and where its value comes from.

    \b
    Examples:
      assay serve                                        events into ./assay.db, at port 8080
      assay serve --plan plan/ --definitions definitions/
      assay serve --database /var/lib/assay/assay.db --host 0.0.0.0 --port 80
    """
)
@settings_options()
def serve(resolved: Resolved) -> None:
    """See the command's help."""
    host, port = free_port(resolved.settings.host, resolved.settings.port)
    settings = replace(resolved.settings, host=host, port=port)
    # Mistakes are found here, in one line each; the worker process then finds the same things in order.
    loaded = load(settings)
    Claim(settings.database).release()
    with opened(settings.database, create=True) as store:
        has_keys = any(key.revoked_at is None and key.source for key in store.keyring.keys())
        registered = sum(version.status == "active" for version in store.register.versions())
    line = start_line(settings, loaded, has_keys=has_keys, registered=registered)
    sys.exit(run(settings, address=(host, port), ready=lambda: click.echo(line)))


def start_line(settings: Settings, loaded: Loaded, *, has_keys: bool, registered: int = 0) -> str:
    """What the operator reads when the collector is up."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    parts = [
        f"Assay is up at http://{host}:{settings.port}",
        f"database {settings.database}",
        _plan(settings, loaded),
        _definitions(settings, loaded, registered),
    ]
    if not has_keys:
        flag = f" --database {settings.database}"
        parts.append(
            f"no key yet: assay keys sources create web{flag} && assay keys create --source web --kind browser{flag}"
        )
    return "; ".join(parts)


def _plan(settings: Settings, loaded: Loaded) -> str:
    if loaded.plan is None:
        return "no tracking plan, so every event is taken as it is"
    return f"plan {settings.plan} ({len(loaded.plan.schemas)} events, revision {loaded.plan.revision})"


def _definitions(settings: Settings, loaded: Loaded, registered: int) -> str:
    if settings.definitions is None:
        return f"{registered} definitions as registered" if registered else "no definitions, so nobody qualifies"
    return f"{len(loaded.catalogue.definitions)} definitions from {settings.definitions}"
