"""The momentum between pruning and fine-tuning, on a network that was trained for a second."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from netslim.core.checkpoint import read_checkpoint
from netslim.network import load
from netslim.stages.prune import run as prune
from netslim.stages.prune.config import PruneConfig
from netslim.training.optimizer import momentum_of

LAST, PRUNED = "checkpoint.pth.tar", "pruned.pth.tar"


Train = Callable[..., dict[str, Any]]


def run(model: Path, target: Path, **given: Any) -> dict[str, Any]:
    return prune.run(PruneConfig(model=model, save=target, device="cpu", **{"precision": "fp32", **given}))


def test_fine_tuning_takes_up_the_momentum_of_what_stayed(
    trained: Path, folder: Path, tmp_path: Path, run_train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    """After one step the two networks are lr x momentum x (what was carried over) apart."""
    ended = {}
    for carry in (True, False):
        target = tmp_path / f"pruned-{carry}"
        run(trained / LAST, target, data_dir=folder, percent=0.4, carry_momentum=carry, precision="auto")
        run_train(save=tmp_path / f"run-{carry}", refine=target / PRUNED, epochs=1, batch_size=64, lr=0.05, depth=None)
        assert ("going on with the momentum" in capsys.readouterr().out) == carry
        ended[carry] = load(tmp_path / f"run-{carry}" / LAST)
    small, optimizer = (
        load(tmp_path / "pruned-True" / PRUNED),
        read_checkpoint(tmp_path / "pruned-True" / PRUNED).optimizer,
    )
    assert optimizer is not None
    assert read_checkpoint(tmp_path / "pruned-False" / PRUNED).optimizer is None
    momentum = momentum_of(optimizer, small)
    for (name, going_on), fresh in zip(ended[True].named_parameters(), ended[False].parameters(), strict=True):
        assert torch.allclose(fresh - going_on, 0.05 * 0.9 * momentum[name], rtol=0, atol=1e-6), name


def test_a_file_without_momentum_gives_none(trained: Path, folder: Path, tmp_path: Path) -> None:
    run(trained / "model_best.pth.tar", tmp_path / "run", data_dir=folder, percent=0.4, precision="auto")
    assert read_checkpoint(tmp_path / "run" / PRUNED).optimizer is None
