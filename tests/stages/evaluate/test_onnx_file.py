"""`netslim evaluate` of ONNX files: netslim's own, and those of others."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx_files import classifier, images
from PIL import Image

from netslim.core.errors import CheckpointError, NetslimError
from netslim.stages.evaluate import run as evaluate
from netslim.stages.evaluate.config import EvaluateConfig
from netslim.stages.export import run as export
from netslim.stages.export.config import ExportConfig


def evaluated(model: Path, **given: Any) -> dict[str, Any]:
    return evaluate.run(EvaluateConfig(model=model, **given))


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    """RGB images of three classes, four for testing of each."""
    for number, name in enumerate("abc"):
        images(tmp_path / "data" / "train" / name, 2, number)
        images(tmp_path / "data" / "test" / name, 4, 10 + number)
    return tmp_path / "data"


def by_hand(model: Path, folder: Path, mean: float, std: float) -> list[bool]:
    """Whether ONNX Runtime is right on each test image of 8 x 8, one at a time."""
    session, right = onnxruntime.InferenceSession(str(model)), []
    for number, name in enumerate("abc"):
        for file in sorted((folder / "test" / name).iterdir()):
            pixels = np.asarray(Image.open(file).resize((8, 8), Image.Resampling.BILINEAR), np.float32) / 255
            given = ((pixels - mean) / std).transpose(2, 0, 1)[None].astype(np.float32)
            right.append(int(session.run(None, {"image": given})[0].argmax()) == number)
    return right


def test_a_network_of_netslims_has_the_accuracy_of_its_checkpoint(trained: Path, folder: Path, tmp_path: Path) -> None:
    model = trained / "model_best.pth.tar"
    export.run(ExportConfig(model=model, output=tmp_path / "net.onnx", pad=1))
    right = evaluated(model, data_dir=folder, device="cpu")
    found = evaluated(tmp_path / "net.onnx", data_dir=folder)
    same = ("dataset", "split", "top1", "correct", "images", "params", "macs")
    assert {key: found[key] for key in same} == {key: right[key] for key in same}
    assert found["loss"] == pytest.approx(right["loss"], rel=1e-5)


def test_a_network_of_others(classes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = classifier(tmp_path / "net.onnx")
    found = evaluated(model, dataset="folder", data_dir=classes, mean="0.5", std="0.2,0.2,0.2")
    assert (found["images"], found["correct"]) == (12, sum(by_hand(model, classes, 0.5, 0.2)))
    assert found["params"] == 3 * 16 * 9 + 16 + 12 * 16 * 9 + 3 * 12 + 3
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "images     pixels of 0 to 1, less 0.5 0.5 0.5, divided by 0.2 0.2 0.2"
    evaluated(model, dataset="folder", data_dir=classes)
    line = "images     pixels of 0 to 1, less 0 0 0, divided by 1 1 1 (net.onnx does not say: "
    assert capsys.readouterr().out.startswith(line)


def test_a_network_for_one_batch_size_is_given_full_batches(classes: Path, tmp_path: Path) -> None:
    free, model = classifier(tmp_path / "free.onnx"), onnx.load(tmp_path / "free.onnx")
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 5
    onnx.save(model, tmp_path / "five.onnx")
    right, found = (evaluated(path, dataset="folder", data_dir=classes) for path in (free, tmp_path / "five.onnx"))
    assert (found["correct"], found["images"]) == (right["correct"], 12)
    assert found["loss"] == pytest.approx(right["loss"], rel=1e-5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "names no data set; type `dataset=NAME`, or `dataset=folder` for your images"),
        ({"dataset": "folder", "arch": "resnet"}, "`arch='resnet'`: an ONNX file says by itself what it is"),
        ({"dataset": "folder", "device": "cuda"}, "`device='cuda'`: ONNX files are run on the processor: leave it out"),
        ({"dataset": "folder", "mean": "1,2"}, "`mean='1,2'`: type 3 numbers with commas between"),
        ({"dataset": "folder", "std": "0"}, "`std='0'`: type 3 numbers with commas between"),
        ({"dataset": "folder", "std": "inf"}, "`std='inf'`: type 3 numbers with commas between"),
        ({"dataset": "folder", "image_size": 16}, "takes images of 3x8x8; those of folder are 3x16x16"),
        ({"dataset": "digits"}, "takes images of 3x8x8; those of digits are 1x8x8"),
    ],
)
def test_what_is_refused(classes: Path, tmp_path: Path, given: dict[str, Any], message: str) -> None:
    with pytest.raises(NetslimError) as caught:
        evaluated(classifier(tmp_path / "net.onnx"), data_dir=classes, **given)
    assert message in str(caught.value)


def test_files_that_are_no_network(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such"):
        evaluated(tmp_path / "none.onnx", dataset="digits")
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    with pytest.raises(CheckpointError, match="ONNX Runtime can't read the model"):
        evaluated(tmp_path / "broken.onnx", dataset="digits")
