"""``assay counts``."""

import click

from assay_collector.cli.opening import opened
from assay_collector.cli.options import format_option, settings_options
from assay_collector.cli.output import print_json, print_table
from assay_collector.settings import Resolved
from assay_collector.store import Counts


@click.command(
    help="""Count what was stored, sent twice, and quarantined.

    Everything that was sent is in one of these counts, unless its request was refused as a whole.

    \b
    Examples:
      assay counts
      assay counts --database /var/lib/assay/assay.db --format json
    """
)
@settings_options("database")
@format_option
def counts(resolved: Resolved, format_: str) -> None:
    """See the command's help."""
    with opened(resolved.settings.database) as store:
        found = store.events.counts()
    if format_ == "json":
        print_json(_document(found))
        return
    rows = [("stored", found.stored), ("duplicates", found.duplicates), ("conflicts", found.conflicts)]
    rows += [(f"quarantined: {reason}", count) for reason, count in sorted(found.quarantined.items())]
    rows += [(f"refused: {reason}", count) for reason, count in sorted(found.refused.items())]
    print_table(("WHAT", "MESSAGES"), [(what, str(count)) for what, count in rows])


def _document(found: Counts) -> dict[str, object]:
    return {
        "stored": found.stored,
        "duplicates": found.duplicates,
        "conflicts": found.conflicts,
        "quarantined": dict(found.quarantined),
        "refused": dict(found.refused),
    }
