"""The documentation runs: every block of Python and shell, against a collector of its own."""

import pytest

from doc_pages import PAGES, Desk, blocks_of, collector_flags
from serving import assay, clean_environment, serving, write_key


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_of_the_page_runs(page, tmp_path, record_property):
    """
    A reader who follows a page from top to bottom gets no error.

    What a page leaves out is listed in the summary of the test run, with its reason.
    """
    blocks = blocks_of(page)
    for block in blocks:
        record_property("doc_block", f"{block}: {block.not_run}" if block.not_run else "")
    key = write_key(tmp_path, source="your-app")
    with serving(tmp_path, *absolute(collector_flags(page))) as collector:
        words = {
            "localhost:8080": f"127.0.0.1:{collector.port}",
            "127.0.0.1:8080": f"127.0.0.1:{collector.port}",
            "your-write-key": key,
        }
        desk = Desk(tmp_path, words, clean_environment())
        failures = [(str(block), said) for block in blocks if not block.not_run and (said := desk.run(block))]
        desk.close()
    assert [] == failures
    if any("your-write-key" in block.code and not block.not_run for block in blocks):
        assert "stored      0\n" not in assay(tmp_path, "counts").stdout, "what the page sent did not arrive"


def absolute(flags):
    """Flags with the repository's folders, from anywhere."""
    root = PAGES[0].parent
    return [str(root / flag) if (root / flag).is_dir() else flag for flag in flags]
