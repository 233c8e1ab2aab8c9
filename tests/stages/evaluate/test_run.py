"""`netslim evaluate`."""

import json
from pathlib import Path
from typing import Any

import pytest

from netslim.core.checkpoint import read_checkpoint
from netslim.core.errors import CheckpointError, DataError, NetslimError, UsageError
from netslim.models import create_model
from netslim.network import save
from netslim.stages.evaluate import run as evaluate
from netslim.stages.evaluate.config import EvaluateConfig

BEST = "model_best.pth.tar"


def run_evaluate(model: Path, **given: Any) -> dict[str, Any]:
    return evaluate.run(EvaluateConfig(model=model, device="cpu", **given))


def test_evaluate_repeats_what_training_measured(trained: Path, folder: Path) -> None:
    result = json.loads((trained / "run.json").read_text())["result"]
    found = run_evaluate(trained / BEST, data_dir=folder)
    assert (found["top1"], found["images"]) == (result["test_top1"], 8)
    assert (found["params"], found["macs"]) == (result["params"], result["macs"])
    assert run_evaluate(trained / BEST, data_dir=folder, test_batch_size=3)["correct"] == found["correct"]


def test_evaluate_on_the_training_images(trained: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = run_evaluate(trained / BEST, data_dir=folder, split="train")
    assert found["images"] == 26
    assert capsys.readouterr().out.startswith(
        f"folder train: top-1 {100 * found['top1']:.2f} % ({found['correct']}/26)"
    )


def test_evaluate_uses_the_normalisation_that_the_network_learnt(trained: Path, folder: Path, tmp_path: Path) -> None:
    import dataclasses

    from netslim.core.checkpoint import write_checkpoint

    checkpoint = read_checkpoint(trained / BEST)
    assert checkpoint.dataset is not None
    shifted = dataclasses.replace(checkpoint, dataset={**checkpoint.dataset, "mean": [0.9]})
    write_checkpoint(tmp_path / "shifted.pth.tar", shifted)
    one = run_evaluate(trained / BEST, data_dir=folder)
    other = run_evaluate(tmp_path / "shifted.pth.tar", data_dir=folder)
    assert one["loss"] != other["loss"]


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"split": "val"}, UsageError, "`split='val'`: type train or test"),
        ({"dataset": "cifar11"}, UsageError, "unknown data set 'cifar11'; did you mean "),
        ({"dataset": "folder", "data_dir": Path("nowhere")}, DataError, "there is no folder nowhere/train: "),
    ],
)
def test_evaluate_refuses(trained: Path, given: dict[str, Any], kind: type[NetslimError], message: str) -> None:
    with pytest.raises(kind) as error:
        run_evaluate(trained / BEST, **given)
    assert message in str(error.value)


def test_evaluate_on_images_of_other_classes(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "ten.pth.tar"
    save(path, create_model("resnet", depth=11, num_classes=10, in_channels=1))
    with pytest.raises(CheckpointError) as error:
        run_evaluate(path, dataset="folder", data_dir=folder)
    assert str(error.value) == f"{path} holds a resnet with num_classes 10; the data set folder has 2"


def test_evaluate_without_a_data_set_in_the_file(tmp_path: Path) -> None:
    save(tmp_path / "bare.pth.tar", create_model("resnet", depth=11))
    with pytest.raises(UsageError) as error:
        run_evaluate(tmp_path / "bare.pth.tar")
    assert str(error.value) == f"{tmp_path / 'bare.pth.tar'} names no data set; type `dataset=NAME`"
