"""A desk for each test."""

from collections.abc import Iterator

import pytest

from privacy.house import Desk, open_desk


@pytest.fixture
def desk() -> Iterator[Desk]:
    with open_desk() as desk:
        yield desk
