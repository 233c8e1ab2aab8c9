"""`netslim transfer`."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from netslim.core.checkpoint import read_checkpoint
from netslim.core.errors import UsageError
from netslim.network import load
from transfer.tiny_transfers import OUT, guide, images, run

timm = pytest.importorskip("timm")


TAGGED = "test_resnet.r160_in1k"


# The source's own network


@pytest.mark.parametrize("name", ["test_resnet", TAGGED])
def test_the_same_network_computes_the_same(
    name: str, network: nn.Module, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = run(tmp_path, model_name=name, weights=weights)
    moved = load(tmp_path / OUT)
    assert torch.equal(moved(images(2, size=64)), network(images(2, size=64)))
    assert moved.arch.name == "timm/test_resnet"
    assert moved.arch.arguments == {"num_classes": 1000, "in_channels": 3, "stem": "imagenet"}
    assert (result["strategy"], result["coverage"]) == ("exact", 1.0)
    checkpoint = read_checkpoint(tmp_path / OUT)
    assert checkpoint.dataset == {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
    assert checkpoint.extra == {"source": "timm", "source_model": name}
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"timm {name} -> prunable timm/test_resnet, stem imagenet, for 1,000 classes"
    assert lines[-3:-1] == [
        "BatchNorm statistics as in the source, whose network this is",
        "images normalised as in the source: mean 0.5, 0.5, 0.5, std 0.5, 0.5, 0.5",
    ]
    assert lines[-1] == f"wrote {tmp_path / OUT}"


def test_a_tag_with_its_own_number_of_classes(tmp_path: Path) -> None:
    run(tmp_path, model_name="resnetaa50d.d_in12k", pretrained=False)
    assert load(tmp_path / OUT).arch.arguments["num_classes"] == 11_821


def test_other_classes_need_no_data_set(network: nn.Module, weights: Path, tmp_path: Path) -> None:
    result = run(tmp_path, weights=weights, num_classes=7)
    moved = load(tmp_path / OUT)
    assert moved(images(2)).shape == (2, 7)
    assert (result["skipped"], result["unmapped"]) == (2, 0)
    kept = {key: value for key, value in network.state_dict().items() if not key.startswith("fc.")}
    assert all(torch.equal(moved.state_dict()[key], value) for key, value in kept.items())


def test_another_network_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^strategy 'exact' needs the same network on both sides"):
        run(tmp_path, pretrained=False, arch="torchvision/resnet18")
    assert list(tmp_path.iterdir()) == []


def test_a_stem_for_small_images_named_without_data(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, weights=weights, stem="cifar")
    assert load(tmp_path / OUT).arch.arguments["stem"] == "cifar"
    line = "no data set is named: type `dataset=NAME` `data_dir=DIR` to estimate BatchNorm statistics"
    assert line in capsys.readouterr().out.splitlines()


def test_the_digits_are_always_at_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whole batches of 128, as many as there are or as were asked for, and others with another seed."""
    states = {}
    for name, given in {"a": {}, "b": {"recalibrate": 2}, "c": {"recalibrate": 2, "seed": 2}}.items():
        guide(tmp_path, dataset="digits", output=tmp_path / name, **given)
        states[name] = load(tmp_path / name)
    out = capsys.readouterr().out
    assert "BatchNorm statistics from 1,408 training images of digits" in out
    assert "BatchNorm statistics from 256 training images of digits" in out
    assert [int(model.bn.num_batches_tracked) for model in states.values()] == [11, 2, 2]
    assert not torch.equal(states["b"].layer1[0].bn1.running_mean, states["c"].layer1[0].bn1.running_mean)


def test_nothing_is_downloaded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    guide(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [OUT]
    line = f"no data at hand for cifar10 (looked in {tmp_path / 'data'}): type `data_dir=DIR` to estimate"
    assert f"{line} BatchNorm statistics" in capsys.readouterr().out.splitlines()
    assert read_checkpoint(tmp_path / OUT).extra["dataset"] == "cifar10"


# What is written


def test_the_report_and_the_picture(weights: Path, tmp_path: Path) -> None:
    result = run(tmp_path, weights=weights, num_classes=7, report=tmp_path / "r.json", plot=tmp_path / "p.svg")
    report = json.loads((tmp_path / "r.json").read_text())
    provenance = report.pop("provenance")
    assert report == {key: value for key, value in result.items() if key not in ("file", "params", "seconds")}
    assert provenance == read_checkpoint(tmp_path / OUT).provenance
    assert provenance["config"]["num_classes"] == 7
    picture = (tmp_path / "p.svg").read_text()
    for text in ("timm test_resnet -> prunable timm/test_resnet, stem imagenet, for 7 classes", "layer4.0", "head"):
        assert text.replace(">", "&gt;") in picture


def test_the_table_has_roles_and_origins(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path, weights=weights, num_classes=7)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["layers", "operation", "keys"] in lines
    assert ["conv1", "copied", "4"] in lines
    assert ["head", "new", "2"] in lines
    assert len(lines) < 30
    run(tmp_path, weights=weights, num_classes=7, verbose=True)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["key", "role", "from", "operation", "reason"] in lines
    row = "layer1.0.conv1.weight layer1.0 conv1 layer1.0.conv1.weight copied same name and shape"
    assert row.split() in lines


def test_the_strategy_select_gets_its_options_and_the_images(
    weights: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shape = {"dataset": "folder", "data_dir": folder, "num_classes": 2, "in_channels": 1, "strategy": "select"}
    states = []
    for name, given in {
        "spacing": {"select_by": "spacing"},
        "blind": {"select_by": "spacing", "recalibrate": 0},
    }.items():
        result = guide(tmp_path, **shape, **given, pretrained=True, weights=weights, output=tmp_path / name)
        assert result["strategy"] == "select"
        states.append(load(tmp_path / name).state_dict())
    assert "BatchNorm statistics from 26 training images of folder" in capsys.readouterr().out
    assert not torch.equal(states[0]["bn.running_mean"], states[1]["bn.running_mean"])
