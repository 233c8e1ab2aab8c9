"""The images that judge prunings."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from netslim.core.errors import InterruptedRunError
from netslim.core.processes.signals import Stopped
from netslim.models import create_model
from netslim.network import save
from netslim.stages.analyze import sweep
from netslim.stages.analyze.config import SweepConfig

BEST = "model_best.pth.tar"


def run(model: Path, target: Path, **given: Any) -> dict[str, Any]:
    return sweep.run(SweepConfig(model=model, save=target, device="cpu", **{"latency_batch": 0, **given}))


def test_without_being_asked_the_training_images_judge_that_the_training_held_out(
    trained: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = run(trained / BEST, tmp_path / "run", data_dir=folder, percents="0.5", recalibrate=0)
    assert result["judged_on"] == "3 training images that its training held out"
    assert "top-1 on 3 training images that its training held out; budgets: 1" in capsys.readouterr().out
    assert "top1_recalibrated" not in result["rows"][1]


def test_of_a_file_that_does_not_say_what_was_held_out_it_says_so(folder: Path, tmp_path: Path) -> None:
    save(tmp_path / "net.pth.tar", create_model("resnet", depth=11, num_classes=2, in_channels=1))
    result = run(
        tmp_path / "net.pth.tar", tmp_path / "run", dataset="folder", data_dir=folder, percents="0.5", recalibrate=0
    )
    assert result["judged_on"] == "3 training images, perhaps seen in training"


def test_layers_are_fitted_for_one_more_accuracy(trained: Path, folder: Path, tmp_path: Path) -> None:
    rows = run(trained / BEST, tmp_path / "run", data_dir=folder, percents="0.5", recalibrate=0, reconstruct=6)["rows"]
    assert {"top1", "top1_reconstructed", "loss_reconstructed"} <= rows[1].keys()
    assert rows[1]["loss_reconstructed"] != rows[1]["loss"]
    assert (tmp_path / "run" / "sweep.png").exists()


def test_a_signal_that_became_another_error_is_still_the_signal(
    trained: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Python does with one that comes while a class is made: "Error calling __set_name__ on ..."."""

    def draw(*_: Any, **__: Any) -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except Stopped as stop:
            raise RuntimeError("Error calling __set_name__") from stop

    monkeypatch.setattr(sweep, "draw_sweep", draw)
    with pytest.raises(InterruptedRunError, match="stopped after 2 of the networks; ") as stopped:
        run(trained / BEST, tmp_path / "run", data_dir=folder, percents="0.5", recalibrate=0)
    assert stopped.value.exit_code == 143
    monkeypatch.undo()
    assert len(run(trained / BEST, tmp_path / "run", data_dir=folder, percents="0.5", recalibrate=0)["rows"]) == 2
