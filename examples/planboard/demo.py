"""
`make demo`: a collector on a fresh SQLite file, fed by the simulated product, and held against its planted truth.

Everything is real: a collector process, its HTTP API, the SDK. On a terminal the collector is left running afterwards,
to be explored; elsewhere the demo ends with exit code 0 only if the truth was met.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import httpx
from examples.planboard.drive import deliver
from examples.planboard.faults import Faults
from examples.planboard.simulation import REQUEST_SECONDS_MAX, Simulation, build
from examples.planboard.truth import Entity
from examples.planboard.world import SECOND

from assay.contract.times import parse_instant

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = ROOT / "schemas" / "planboard"
START_SECONDS_MAX = 30.0
DECIDE_SECONDS_MAX = 120.0
LEADS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Collector:
    """A running collector, and the keys to it."""

    url: str
    database: Path
    write_key: str
    admin_token: str
    process: "subprocess.Popen[bytes]"

    def get(self, path: str, **parameters: str | int) -> Any:
        """The answer of the query API."""
        headers = {"Authorization": f"Bearer {self.admin_token}"}
        answer = httpx.get(self.url + path, params=parameters, headers=headers, timeout=30, trust_env=False)
        answer.raise_for_status()
        return answer.json()


@click.command()
@click.option("--seed", default=7, show_default=True, help="Another seed is another product.")
@click.option("--scale", default=1.0, show_default=True, help="1 is about 11,000 messages.")
@click.option("--keep/--no-keep", default=None, help="Whether the collector is left running.  [default: on a terminal]")
def main(seed: int, scale: float, keep: bool | None) -> None:
    """Start a collector, let a simulated product live, and see who qualifies."""
    with running_collector(ROOT / "var" / "demo") as collector:
        now = int(time.time() * 1_000_000)
        simulation = build(seed, scale, _start_of_today(), Faults.every(), as_of=now)
        click.echo(f"\nPlanboard, a simulated product, sends {len(simulation.messages):,} messages through the SDK,")
        click.echo("with duplicates, late and disordered events, wrong clocks, bots and broken events among them.\n")
        _send(simulation, collector)
        _await_decisions(collector)
        leads = _all_leads(collector)
        _show_leads(leads)
        counts_agree = _show_counts(simulation, collector.get("/v1/counts"))
        truth_met = _show_truth(simulation, leads)
        truth_met = _show_ended(simulation, collector) and truth_met
        if keep if keep is not None else sys.stdout.isatty():
            _keep_serving(collector, leads)
        elif not (truth_met and counts_agree):
            raise SystemExit(1)


# --- the collector ---------------------------------------------------------------------------------------------------


@contextmanager
def running_collector(folder: Path) -> Iterator[Collector]:
    """A collector process on a fresh database in this folder, on a free port."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    database = folder / "assay.db"
    _assay("keys", "sources", "create", "planboard", "--database", str(database))
    write_key = _assay("keys", "create", "--source", "planboard", "--database", str(database))
    admin_token = _assay("keys", "create", "--kind", "admin", "--database", str(database))
    port = _free_port()
    arguments = ["--database", database, "--plan", SCHEMAS / "plan", "--definitions", SCHEMAS / "definitions"]
    process = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "assay_collector", "serve", "--port", str(port), *map(str, arguments)],
        stderr=(folder / "collector.log").open("wb"),
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        collector = Collector(f"http://127.0.0.1:{port}", database, write_key, admin_token, process)
        _await_start(collector, folder / "collector.log")
        yield collector
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def _assay(*arguments: str) -> str:
    command = [sys.executable, "-m", "assay_collector", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await_start(collector: Collector, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline and collector.process.poll() is None:
        try:
            if httpx.get(f"{collector.url}/readyz", timeout=5, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise click.ClickException(f"the collector did not start; it said:\n{log.read_text()}")


# --- the product -----------------------------------------------------------------------------------------------------


def _start_of_today() -> int:
    return int(time.time()) // 86_400 * 86_400 * 1_000_000


def _send(simulation: Simulation, collector: Collector) -> None:
    began = time.monotonic()
    with click.progressbar(length=len(simulation.messages), label="sending", file=sys.stderr) as bar:
        deliver(simulation, collector.url, collector.write_key, bar.update)
    seconds = time.monotonic() - began
    click.echo(f"All acknowledged after {seconds:.1f} s ({len(simulation.messages) / seconds:,.0f} a second).")


def _await_decisions(collector: Collector) -> None:
    deadline = time.monotonic() + DECIDE_SECONDS_MAX
    while time.monotonic() < deadline:
        if httpx.get(f"{collector.url}/readyz", timeout=30, trust_env=False).json()["agenda"]["due"] == 0:
            return
        time.sleep(0.1)
    raise click.ClickException("the collector did not get through its agenda")


def _all_leads(collector: Collector) -> list[dict[str, Any]]:
    leads: list[dict[str, Any]] = []
    while page := collector.get("/v1/leads", limit=500, offset=len(leads))["leads"]:
        leads += page
    return leads


# --- what came of it -------------------------------------------------------------------------------------------------


def _show_leads(leads: list[dict[str, Any]]) -> None:
    by_definition = Counter(lead["definition"] for lead in leads)
    click.secho(f"\n{len(leads)} product-qualified leads, and why", bold=True)
    for definition, number in sorted(by_definition.items()):
        click.echo(f"\n  {definition}: {number}")
        for lead in [lead for lead in leads if lead["definition"] == definition][:LEADS_SHOWN]:
            click.echo(f"    {lead['kind']} {lead['id']} since {lead['since']}: {'; '.join(lead['reasons'])}")
        if number > LEADS_SHOWN:
            click.echo(f"    ... and {number - LEADS_SHOWN} more")


def _show_counts(simulation: Simulation, counts: dict[str, Any]) -> bool:
    quarantined = dict(counts["quarantined"])
    click.secho("\nWhere every message went", bold=True)
    for reason, number in sorted(quarantined.items()):
        click.echo(f"  quarantined, {reason}: {number:,}")
    total = counts["stored"] + counts["duplicates"] + sum(quarantined.values())
    sent = simulation.expected_counts.sent
    # A client that lost an answer sends again; such copies are duplicates over and above the planted ones.
    agrees = (
        counts["stored"] == simulation.expected_counts.stored
        and quarantined == dict(simulation.expected_counts.quarantined)
        and total >= sent
    )
    click.echo(
        f"  {sent:,} sent = {counts['stored']:,} stored + {counts['duplicates']:,} duplicates"
        f" + {sum(quarantined.values()):,} quarantined" + ("" if total == sent else f" - {total - sent} sent again")
    )
    _say_whether(agrees, "counts as planted", f"planted were {simulation.expected_counts}")
    return agrees


def _show_truth(simulation: Simulation, leads: list[dict[str, Any]]) -> bool:
    found: defaultdict[str, dict[Entity, int]] = defaultdict(dict)
    for lead in leads:
        found[lead["definition"]][Entity(lead["kind"], lead["id"])] = parse_instant(lead["since"])
    differences = simulation.differences(found)
    click.secho("\nAgainst the planted truth", bold=True)
    for difference in differences[:20]:
        click.echo(f"  {difference}")
    planted = sum(len(entities) for entities in simulation.truth.values())
    _say_whether(
        not differences,
        f"all {planted} planted leads found, at their instant, and nobody else",
        "the truth was not met",
    )
    return not differences


def _show_ended(simulation: Simulation, collector: Collector) -> bool:
    """Qualifications that have ended are no leads any more; the ledger remembers them."""
    ended = [
        (definition, entity, episodes[0].since, episodes[0].until)
        for definition, found in simulation.courses.items()
        for entity, episodes in found.items()
        if episodes[0].until is not None
    ]
    wrong = [case for case in ended if not _is_told(collector, simulation, *case)]
    for definition, entity, *_ in wrong[:20]:
        click.echo(f"  {definition}: {entity} should have qualified and ended, and has not")
    _say_whether(
        not wrong, f"all {len(ended)} that had expired or ended did so on time", "something did not end on time"
    )
    return not wrong


def _is_told(
    collector: Collector, simulation: Simulation, definition: str, entity: Entity, since: int, until: int
) -> bool:
    answer = collector.get(f"/v1/qualifications/{entity.id}", kind=entity.kind)["entities"][0]
    (told,) = [each for each in answer["definitions"] if each["definition"] == definition]
    last = {(row["episode"], row["step"]): row for row in told["history"]}
    stands = [row for row in last.values() if row["episode"] == 1 and row["change"] != "retracted"]
    times = sorted(parse_instant(row["effectiveAt"]) for row in stands if not row["step"].startswith("stage:"))
    # A clock that was repaired is right up to the time that its message took.
    slack = REQUEST_SECONDS_MAX * SECOND if any(message.skew for message in simulation.messages) else 0
    return len(times) == 2 and all(
        0 <= at - at_best <= slack for at, at_best in zip(times, (since, until), strict=True)
    )


def _say_whether(good: bool, yes: str, no: str) -> None:
    click.secho(f"  {'ok' if good else 'WRONG'}: {yes if good else no}", fg="green" if good else "red")


def _keep_serving(collector: Collector, leads: list[dict[str, Any]]) -> None:
    database = collector.database.relative_to(Path.cwd()) if collector.database.is_relative_to(Path.cwd()) else None
    options = f"--database {database or collector.database} --definitions schemas/planboard/definitions"
    who = leads[0]["id"] if leads else "ENTITY"
    click.secho(f"\nThe collector goes on serving at {collector.url}; stop it with Ctrl-C. Try next:", bold=True)
    click.echo(f"  .venv/bin/assay explain {who} {options}")
    click.echo(f"  .venv/bin/assay leads --definition team-invites {options}")
    click.echo(f"  .venv/bin/assay quarantine --limit 5 --database {database or collector.database}")
    click.echo(f"  curl -H 'Authorization: Bearer {collector.admin_token}' {collector.url}/v1/leads?limit=1")
    try:
        collector.process.wait()
    except KeyboardInterrupt:
        click.echo("\nStopping.")


if __name__ == "__main__":
    main()
