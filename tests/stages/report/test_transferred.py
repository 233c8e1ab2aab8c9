"""Where a network came from, as its transfer's file says."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from netslim.core.checkpoint import Checkpoint, write_checkpoint
from netslim.report.page.findings import Findings, Transferred
from netslim.report.page.render import page_text
from netslim.report.page.run_folder import Run, read_run
from netslim.stages.report.transferred import transferred

NOTED: dict[str, Any] = {
    "stage": "transfer",
    "config": {"source": "torchvision", "model_name": "resnet50", "depth": 20, "pretrained": False},
    "strategy": "select",
    "coverage": 0.5,
    "layers": [["conv1", "resampled", 1], ["conv2", "sliced", 9]],
    "calibration_images": 2560,
}


def run_from(folder: Path, noted: dict[str, Any]) -> Run:
    """A run that went on from the file of a transfer that noted this."""
    file = folder / "transferred.pth.tar"
    write_checkpoint(file, Checkpoint(state_dict={"weight": torch.ones(1)}, provenance=noted))
    record = {"run_id": "a", "stage": "train", "status": "finished", "config": {}}
    record |= {"parents": {"resume": {"path": str(file), "sha256": "00"}}}
    (folder / "run").mkdir()
    (folder / "run" / "run.json").write_text(json.dumps(record))
    return read_run(folder / "run")


def test_what_was_copied_and_selected_stands_on_the_page(tmp_path: Path) -> None:
    run = run_from(tmp_path, NOTED)
    found = transferred(run)
    layers = (("conv1", "resampled", 1), ("conv2", "sliced", 9))
    assert found == Transferred(
        source="torchvision resnet50",
        strategy="select",
        coverage=0.5,
        layers=layers,
        images=2560,
        command="netslim transfer --set=depth=20 --set=pretrained=False",
    )
    text = " ".join(page_text([run], Findings(transferred=found)).split())
    assert "torchvision resnet50, by select: 50.0 % of the learnable parameters came from it" in text
    assert "statistics were measured on 2,560 training images" in text
    assert "sliced: a part of the channels was selected" in text


def test_settings_of_another_version_have_no_command(tmp_path: Path) -> None:
    found = transferred(run_from(tmp_path, {**NOTED, "config": {"source": "torchvision", "of_old": 1}}))
    assert found
    assert not found.command


@pytest.mark.parametrize("noted", [{**NOTED, "stage": "train"}, {**NOTED, "layers": [["conv1"]]}, {}])
def test_other_files_tell_nothing(tmp_path: Path, noted: dict[str, Any]) -> None:
    assert transferred(run_from(tmp_path, noted)) is None


def test_a_file_that_is_gone_tells_nothing(tmp_path: Path) -> None:
    run = run_from(tmp_path, NOTED)
    (tmp_path / "transferred.pth.tar").unlink()
    assert transferred(run) is None
