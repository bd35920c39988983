"""What all tests share."""

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how much of the documentation was run, and what was not."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.getreports(kind)]
    blocks = [value for report in reports for name, value in report.user_properties if name == "doc_block"]
    left_out = [block for block in blocks if block]
    if blocks:
        terminalreporter.write_line(f"documentation: {len(blocks) - len(left_out)} blocks run, {len(left_out)} not run")
    for block in left_out:
        terminalreporter.write_line(f"  {block}")
