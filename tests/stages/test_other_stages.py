"""`evaluate`, `info` and `transfer`."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision

from netslim.core.checkpoint import read_checkpoint
from netslim.core.errors import CheckpointError, DataError, NetslimError, UsageError
from netslim.models import create_model
from netslim.network import load, save
from netslim.stages.evaluate import run as evaluate
from netslim.stages.evaluate.config import EvaluateConfig
from netslim.stages.info import run as info
from netslim.stages.info.config import InfoConfig
from netslim.stages.transfer import run as transfer
from netslim.stages.transfer.config import TransferConfig

BEST = "model_best.pth.tar"


def run_evaluate(model: Path, **given: Any) -> dict[str, Any]:
    return evaluate.run(EvaluateConfig(model=model, device="cpu", **given))


def run_transfer(output: Path, **given: Any) -> dict[str, Any]:
    plain = {"model_name": "resnet18", "pretrained": False, "depth": 11, "dataset": "digits"}
    return transfer.run(TransferConfig(**{**plain, "output": output, **given}))


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


def test_info_of_a_trained_network(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = info.run(InfoConfig(model=trained / BEST))
    assert facts["architecture"] == "resnet(depth=11, num_classes=2, in_channels=1)"
    assert (facts["params"], facts["input"], facts["dataset"]) == (124_402, "1x8x8", "folder")
    assert (facts["selected_on"], facts["stage"], facts["plan"]) == ("val", "train", None)
    out = capsys.readouterr().out
    assert "124,402" in out
    assert "pruned" not in out


def test_info_of_a_pruned_network(pruned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = info.run(InfoConfig(model=pruned / "pruned.pth.tar"))
    plan = load(pruned / "pruned.pth.tar").plan
    assert plan is not None
    assert facts["plan"] == plan.to_dict()
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


def test_transfer_takes_the_weights_of_a_file(tmp_path: Path) -> None:
    source = torchvision.models.resnet18()
    torch.save(source.state_dict(), tmp_path / "resnet18.pth")
    output = tmp_path / "out.pth.tar"
    run_transfer(output, pretrained=True, weights=tmp_path / "resnet18.pth", strategy="guide")
    carried = source.state_dict()["layer2.0.downsample.0.weight"]
    assert torch.equal(load(output).state_dict()["layer2.0.downsample.0.weight"], carried)


@pytest.mark.parametrize(("dataset", "channels"), [("digits", 1), ("cifar10", 3)])
def test_transfer_needs_no_images_and_no_network(tmp_path: Path, dataset: str, channels: int) -> None:
    output = tmp_path / "out.pth.tar"
    result = run_transfer(output, dataset=dataset)
    model = load(output)
    assert model.arch.arguments == {"depth": 11, "num_classes": 10, "in_channels": channels}
    assert result["params"] == sum(p.numel() for p in model.parameters())
    data = torch.load(output, weights_only=True)
    guide = {"state_dict", "epoch", "best_prec1", "source", "source_model", "dataset", "depth"}
    assert data.keys() == guide | {"netslim"}
    assert (data["epoch"], data["best_prec1"]) == (0, 0.0)
    assert (data["source"], data["source_model"], data["dataset"], data["depth"]) == (
        "torchvision",
        "resnet18",
        dataset,
        11,
    )


def test_transfer_prints_the_guides_summary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "out.pth.tar"
    result = run_transfer(output)
    lines = capsys.readouterr().out.splitlines()
    at = lines.index("Mapping Summary:")
    assert [line.split(":")[0] for line in lines[at + 1 : at + 4]] == ["  Mapped", "  Skipped", "  Unmapped"]
    keys = [int(line.split(":")[1].removesuffix(" keys").replace(",", "")) for line in lines[at + 1 : at + 4]]
    assert sum(keys) == len(load(output).state_dict())
    assert lines[-1].strip() == (
        f"netslim train `resume='{output}'` `dataset='digits'` `depth=11` `save='./fine_tuned_model'`"
    )
    assert result["file"] == str(output)


def test_transfer_is_the_same_with_the_same_seed(tmp_path: Path) -> None:
    from netslim.core.seeding import seed_torch

    states = []
    for name in ("a", "b"):
        seed_torch(hash(name))
        run_transfer(tmp_path / name)
        states.append(load(tmp_path / name).state_dict())
    fresh = [key for key in states[0] if key.startswith("fc.")]
    assert all(torch.equal(states[0][key], states[1][key]) for key in fresh)


def test_transfer_to_folders_needs_the_shape(tmp_path: Path) -> None:
    for given in ({}, {"num_classes": 5}, {"in_channels": 3}):
        with pytest.raises(UsageError) as error:
            run_transfer(tmp_path / "out.pth.tar", dataset="folder", **given)
        assert str(error.value) == ("the data set 'folder' fixes no shape: type `num_classes=N` `in_channels=1` or 3")
    run_transfer(tmp_path / "out.pth.tar", dataset="folder", num_classes=5, in_channels=3)
    assert load(tmp_path / "out.pth.tar").arch.arguments["num_classes"] == 5


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"source": "keras"}, "unknown source 'keras'"),
        ({"model_name": "resnet51"}, "'resnet51'"),
        ({"dataset": "imagenot"}, "unknown data set 'imagenot'"),
        ({"depth": 18}, "`depth=18`: the depth of a bottleneck ResNet is 9n+2; the nearest is 11 or 20"),
        ({"strategy": "magic"}, "unknown "),
    ],
)
def test_transfer_refuses(tmp_path: Path, given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as error:
        run_transfer(tmp_path / "out.pth.tar", **given)
    assert message in str(error.value)
    assert not (tmp_path / "out.pth.tar").exists()


def test_transfer_to_a_place_that_can_not_be_written(tmp_path: Path) -> None:
    with pytest.raises(NetslimError, match=r"^cannot write .*: it is a folder; nothing was changed$"):
        run_transfer(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(NetslimError, match=r"^cannot write .*: (File exists|Not a directory); nothing was changed$"):
        run_transfer(tmp_path / "file" / "out.pth.tar")
