"""The command line."""

import click

from assay._version import __version__
from assay_collector.cli.lazy import Entry, LazyGroup

_ENTRIES = {
    "serve": Entry("assay_collector.cli.serve:serve", "Run the collector."),
    "keys": Entry("assay_collector.cli.keys:keys", "Make, list and revoke keys; the sources they belong to."),
    "settings": Entry(
        "assay_collector.cli.settings:settings", "Show every setting, its value, and where it came from."
    ),
    "leads": Entry("assay_collector.cli.leads:leads", "List who is qualified."),
    "explain": Entry("assay_collector.cli.explain:explain", "Say what somebody qualifies for, and why or why not."),
    "pql": Entry("assay_collector.cli.pql:pql", "Plan, try, activate and retire definitions; run their examples."),
    "consent": Entry("assay_collector.cli.consent:consent", "Ask why something was stored, and what somebody allows."),
    "counts": Entry("assay_collector.cli.counts:counts", "Count what was stored, sent twice, and quarantined."),
    "quarantine": Entry("assay_collector.cli.quarantine:quarantine", "List what was sent and not stored, and why."),
    "dead-letters": Entry("assay_collector.cli.dead_letters:dead_letters", "List and resend undeliverable messages."),
    "privacy": Entry("assay_collector.cli.privacy:privacy", "Carry out what persons ask: export, erase, suppress."),
    "identity": Entry("assay_collector.cli.identity:identity", "Say who is who and why; link, and undo links."),
    "verify": Entry("assay_collector.cli.verify:verify", "Compute everything again from the events, and compare."),
    "check": Entry("assay.qa.commands:check", "Check files of events against a tracking plan."),
    "doctor": Entry("assay.qa.doctor:doctor", "Check the way of events from this machine to the collector."),
    "lint": Entry("assay_collector.cli.lint:lint", "Look for mistakes in a tracking plan and in definitions."),
}

_EXAMPLES = """\b
Examples:
  assay check events.ndjson --plan plan/     are these events as planned?
  assay keys sources create web              a place where events come from
  assay keys create --source web             a key for it
  assay serve --plan plan/                   take events in
"""


@click.group(
    cls=LazyGroup,
    entries=_ENTRIES,
    help="Assay: which users and accounts are product-qualified, and why.",
    epilog=_EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="assay", message="%(prog)s %(version)s")
def main() -> None:
    """See the group's help."""
