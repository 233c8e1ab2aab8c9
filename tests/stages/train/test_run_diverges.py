"""A training that diverges."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from netslim.core.checkpoint import read_checkpoint
from netslim.core.errors import DivergedError

Train = Callable[..., dict[str, Any]]


CHECKPOINT, BEST = "checkpoint.pth.tar", "model_best.pth.tar"


def test_a_loss_that_diverges_leaves_the_last_good_files(run_train: Train, tmp_path: Path) -> None:
    """Weight decay beyond 2 / lr makes every step overshoot: weights grow until they overflow, some epochs later."""
    with pytest.raises(DivergedError, match=r"^the loss became (nan|inf) in epoch "):
        run_train(save=tmp_path, epochs=100, weight_decay=100.0)
    rows = (tmp_path / "metrics.jsonl").read_text().splitlines()
    for name in (CHECKPOINT, BEST):
        checkpoint = read_checkpoint(tmp_path / name)
        weights = [value for key, value in checkpoint.state_dict.items() if "running" not in key]
        assert all(value.isfinite().all() for value in weights)
        assert 1 <= checkpoint.epoch <= len(rows) < 100
    assert read_checkpoint(tmp_path / CHECKPOINT).epoch == len(rows)
