"""A chain of runs, in a folder of its own."""

from pathlib import Path

import pytest
from page_runs import write_chain


@pytest.fixture
def chain(tmp_path: Path) -> list[Path]:
    """Dense, sparse, pruned and fine-tuned, each from the file of the one before."""
    return write_chain(tmp_path)
