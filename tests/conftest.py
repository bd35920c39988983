"""What all tests share."""

import os

import pytest
from hypothesis import settings

# How many times as many examples as usual a long run takes; `make soak` says it.
SOAK = int(os.environ.get("ASSAY_SOAK", "1"))
EXAMPLES = 200

# Shared machines are slow at times, so no example has a deadline.
settings.register_profile("default", max_examples=EXAMPLES, deadline=None)
settings.register_profile("soak", max_examples=EXAMPLES * SOAK, deadline=None)
settings.load_profile("soak" if SOAK > 1 else "default")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what a long run did, how much of the documentation was run, and what was not."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.getreports(kind)]
    if SOAK > 1:
        properties = [report for report in reports if report.when == "call" and "hypothesis" in report.keywords]
        hours = sum(report.duration for report in properties) / 3600
        terminalreporter.write_line(
            f"soak: {len(properties)} properties, each with {SOAK} times its usual examples ({EXAMPLES * SOAK:,} for "
            f"most); {hours:.1f} hours of computing"
        )
    blocks = [value for report in reports for name, value in report.user_properties if name == "doc_block"]
    left_out = [block for block in blocks if block]
    if blocks:
        terminalreporter.write_line(f"documentation: {len(blocks) - len(left_out)} blocks run, {len(left_out)} not run")
    for block in left_out:
        terminalreporter.write_line(f"  {block}")
