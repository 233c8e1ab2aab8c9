"""`netslim export --int8`."""

from pathlib import Path
from typing import Any

import onnx
import pytest

from netslim.core.checkpoint import Checkpoint
from netslim.core.errors import UsageError
from netslim.stages.export import run as export
from netslim.stages.export.config import ExportConfig
from netslim.stages.export.int8 import warn_of_stale_statistics
from netslim.stages.train import run as train
from netslim.stages.train.config import TrainConfig


@pytest.fixture(scope="module")
def network(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained network that held out 8 of 26 images."""
    save = tmp_path_factory.mktemp("trained")
    given = {"dataset": "folder", "data_dir": folder, "depth": 11, "epochs": 1, "batch_size": 9, "device": "cpu"}
    train.run(TrainConfig(**given, precision="fp32", val_share=0.3, save=save))
    return save / "model_best.pth.tar"


def exported(model: Path, **given: Any) -> dict[str, Any]:
    plain = {"pad": 1, "selection": "zeros", "clamp": False, "seconds": 0.01}
    return export.run(ExportConfig(model=model, **{**plain, **given}))


def test_int8_of_a_trained_network(
    network: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "net.onnx"
    found = exported(network, output=output, data_dir=folder, int8_always=True, calibrate=100, accuracy_drop=100)
    int8 = found["int8"]
    assert int8["layers_int8"] == int8["layers"] == 14
    assert int8["written"] is True
    assert int8["bytes_int8"] == found["bytes"] == output.stat().st_size < int8["bytes_float"]
    assert "QuantizeLinear" in {node.op_type for node in onnx.load(output).graph.node}
    printed = capsys.readouterr().out
    assert ": 14 of 14 layers; calibrated on 4 and chosen by 4 other training images that its training" in printed
    assert ("top-1 on these" in printed, "held-out" in printed) == (True, False)
    assert "the same prediction in both: 100.00 %" in printed


@pytest.mark.slow
def test_float_is_kept_where_it_is_faster(
    network: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netslim.deploy.int8.convert._is_slower", lambda times: True)
    output = tmp_path / "net.onnx"
    found = exported(network, output=output, data_dir=folder, int8=True, accuracy_drop=100)
    assert found["int8"]["written"] is False
    assert "QuantizeLinear" not in {node.op_type for node in onnx.load(output).graph.node}
    assert f"int8 is not faster on this machine: {output} holds float (type `int8_always=True`" in (
        capsys.readouterr().out.replace("\n", " ")
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"calibrate": 9}, "`calibrate=9`: this is for 8-bit integers: type `int8=True`, too"),
        ({"int8": True, "half": True}, "`half=True`: int8 is smaller still: leave one of the two out"),
        ({"int8": True, "target": "pt2"}, "`target='pt2'`: it has no int8; type `target='onnx'`"),
        ({"int8": True}, r"int8 needs images to calibrate with and labels to judge by, and .*small\.pth\.tar names no"),
    ],
)
def test_export_refuses(files: tuple[Path, Path], given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        exported(files[1], **given)
    assert sorted(path.suffix for path in files[1].parent.iterdir()) == [".tar", ".tar"]


@pytest.mark.parametrize(
    ("stage", "config", "lines"),
    [("prune", {"recalibrate": 0}, 1), ("prune", {"recalibrate": 0, "reconstruct": 512}, 0), ("train", {}, 0)],
)
def test_a_network_that_was_not_recalibrated_is_pointed_out(
    stage: str, config: dict[str, Any], lines: int, capsys: pytest.CaptureFixture[str]
) -> None:
    warn_of_stale_statistics(Checkpoint(state_dict={}, provenance={"stage": stage, "config": config}))
    assert capsys.readouterr().out.count("this network was pruned without recalibration and not trained") == lines
