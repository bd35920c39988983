"""One house of the worked definitions for every scenario, emptied before each."""

from collections.abc import Iterator

import pytest

from qualify.house import House, opened
from qualify.planboard import catalogue


@pytest.fixture(scope="session")
def built() -> Iterator[House]:
    with opened(catalogue()) as house:
        yield house


@pytest.fixture
def house(built: House) -> House:
    """A collector with the simulated product's definitions, and nothing received yet."""
    built.clear()
    return built
