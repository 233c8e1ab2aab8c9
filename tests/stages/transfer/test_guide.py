"""`netslim transfer` into the guide's ResNet."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision

from netslim.core.errors import DataError, NetslimError, UsageError
from netslim.network import load
from netslim.stages.transfer import run as transfer
from netslim.stages.transfer.config import TransferConfig


def run_transfer(output: Path, **given: Any) -> dict[str, Any]:
    """For the digits, of which one batch is enough, or for the data set that is given."""
    plain = {"model_name": "resnet18", "pretrained": False, "depth": 11}
    plain |= {} if "dataset" in given else {"dataset": "digits", "recalibrate": 1}
    return transfer.run(TransferConfig(**{**plain, "output": output, **given}))


def test_transfer_takes_the_weights_of_a_file(tmp_path: Path) -> None:
    source = torchvision.models.resnet18()
    torch.save(source.state_dict(), tmp_path / "resnet18.pth")
    output = tmp_path / "out.pth.tar"
    run_transfer(output, pretrained=True, weights=tmp_path / "resnet18.pth", strategy="guide")
    carried = source.state_dict()["layer2.0.downsample.0.weight"]
    assert torch.equal(load(output).state_dict()["layer2.0.downsample.0.weight"], carried)


@pytest.mark.parametrize(
    ("dataset", "given", "channels"),
    [("digits", {}, 1), ("cifar10", {"dataset": "cifar10"}, 3)],
    ids=["digits", "cifar10"],
)
def test_transfer_needs_no_images_and_no_network(
    tmp_path: Path, dataset: str, given: dict[str, Any], channels: int
) -> None:
    output = tmp_path / "out.pth.tar"
    result = run_transfer(output, **given)
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
    assert lines[-1] == f"wrote {output}"
    assert len(lines) < 30
    assert result["file"] == str(output)


def test_transfer_is_the_same_with_the_same_seed(tmp_path: Path) -> None:
    from netslim.core.runs.seeding import seed_torch

    states = []
    for name in ("a", "b"):
        seed_torch(hash(name))
        run_transfer(tmp_path / name)
        states.append(load(tmp_path / name).state_dict())
    fresh = [key for key in states[0] if key.startswith("fc.")]
    assert all(torch.equal(states[0][key], states[1][key]) for key in fresh)


def test_transfer_to_folders_looks_at_them(tmp_path: Path, folder: Path) -> None:
    run_transfer(tmp_path / "out.pth.tar", dataset="folder", data_dir=folder)
    model = load(tmp_path / "out.pth.tar")
    assert model.arch.arguments == {"depth": 11, "num_classes": 2, "in_channels": 1}


def test_transfer_to_a_folder_that_is_not_there(tmp_path: Path) -> None:
    given = {"dataset": "folder", "data_dir": tmp_path / "none"}
    for shape in ({}, {"num_classes": 5}, {"in_channels": 3}):
        with pytest.raises(
            DataError, match=r"^there is no folder .*none/train: `data_dir` must name a folder with train/"
        ):
            run_transfer(tmp_path / "out.pth.tar", **given, **shape)
    run_transfer(tmp_path / "out.pth.tar", **given, num_classes=5, in_channels=3)
    assert load(tmp_path / "out.pth.tar").arch.arguments["num_classes"] == 5


def test_transfer_to_an_empty_folder(tmp_path: Path) -> None:
    for part in ("train", "test"):
        (tmp_path / "data" / part).mkdir(parents=True)
    with pytest.raises(DataError, match=r"has no class folders: put the images of each class in"):
        run_transfer(tmp_path / "out.pth.tar", dataset="folder", data_dir=tmp_path / "data")


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
    with pytest.raises(NetslimError, match=r"^cannot write .*: .*file is a file, and a folder is needed there"):
        run_transfer(tmp_path / "file" / "out.pth.tar")
