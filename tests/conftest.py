"""For all tests: processes that start quickly, and a garbage collector that leaves out what stays.

Else it goes through all that was imported and collected, a third of a second each time.
"""

import gc
from collections.abc import Iterator

import pytest

from fresh_python import FreshPython


def pytest_sessionstart() -> None:
    gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_unconfigure() -> None:
    gc.unfreeze()


@pytest.fixture(scope="session")
def fresh_python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FreshPython]:
    """Runs programs in processes of their own, in which nothing but torch was imported."""
    python = FreshPython(tmp_path_factory.mktemp("fresh_python"))
    yield python
    python.end()
