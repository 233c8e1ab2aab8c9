"""`netslim info`."""

from pathlib import Path

import pytest
import torch

from netslim.core.checkpoint import read_checkpoint
from netslim.core.errors import CheckpointError
from netslim.models import create_model
from netslim.network import load
from netslim.stages.info import run as info
from netslim.stages.info.config import InfoConfig

BEST = "model_best.pth.tar"


def test_info_of_a_trained_network(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = info.run(InfoConfig(model=trained / BEST))
    assert facts["architecture"] == "resnet(depth=11, num_classes=2, in_channels=1)"
    assert (facts["params"], facts["input"], facts["dataset"]) == (124_402, "1x8x8", "folder")
    assert (facts["selected_on"], facts["stage"], facts["plan"]) == ("val", "train", None)
    assert facts["best_prec1_on"] == "val"
    said = read_checkpoint(trained / BEST).dataset
    assert said
    assert (facts["mean"], facts["std"], facts["class names"]) == (said["mean"], said["std"], 2)
    out = capsys.readouterr().out
    assert "124,402" in out
    assert "pruned" not in out


def test_info_of_a_pruned_network(pruned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = info.run(InfoConfig(model=pruned / "pruned.pth.tar"))
    plan = load(pruned / "pruned.pth.tar").plan
    assert plan is not None
    assert facts["plan"] == plan.to_dict()
    assert (facts["selected_on"], facts["best_prec1_on"]) == ("val", "test")
    out = capsys.readouterr().out
    assert f"pruned: {plan.kept} of 688 channels kept" in out
    assert "layer1.0.bn1" in out


def test_info_of_an_original_file(tmp_path: Path) -> None:
    path = tmp_path / "original.pth.tar"
    torch.save({"epoch": 9, "state_dict": create_model("resnet", depth=11).state_dict(), "best_prec1": 0.25}, path)
    facts = info.run(InfoConfig(model=path))
    assert (facts["epoch"], facts["best_prec1"], facts["input"]) == (9, 0.25, "3x32x32")
    assert facts["stage"] == "none recorded: a file of other scripts"
    assert facts["selected_on"] == "unknown (not recorded in the file)"


def test_info_of_a_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"^no such checkpoint file: "):
        info.run(InfoConfig(model=tmp_path / "missing.pth.tar"))
