"""BatchNorm statistics and the classifier after a transfer."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from netslim.core.checkpoint import read_checkpoint
from netslim.data import load_dataset
from netslim.network import load
from netslim.stages.shared.datasets import normalization_of
from transfer.tiny_transfers import OUT, guide, images, run

timm = pytest.importorskip("timm")


STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


# Images at hand


def test_statistics_come_from_the_images_at_hand(
    weights: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """26 images are one batch: the first BatchNorm's statistics are those of what its convolution gives for them."""
    given = {"dataset": "folder", "data_dir": folder, "num_classes": 2, "in_channels": 1, "stem": "cifar"}
    result = run(tmp_path, weights=weights, **given)
    moved = load(tmp_path / OUT)
    dataset = load_dataset("folder", folder)
    pixels = (dataset.train.images / 255 - torch.tensor(dataset.mean)) / torch.tensor(dataset.std)
    with torch.no_grad():
        seen = moved.conv1[0](pixels) if isinstance(moved.conv1, nn.Sequential) else moved.conv1(pixels)
    first = next(m for m in moved.modules() if isinstance(m, nn.BatchNorm2d))
    assert torch.allclose(first.running_mean, seen.mean((0, 2, 3)), atol=1e-5)
    assert torch.allclose(first.running_var, seen.var((0, 2, 3)), rtol=1e-4)
    checkpoint = read_checkpoint(tmp_path / OUT)
    assert checkpoint.dataset is not None
    assert (checkpoint.dataset["mean"], checkpoint.dataset["class_names"]) == ([*dataset.mean], ["dark", "light"])
    assert checkpoint.extra["dataset"] == "folder"
    assert checkpoint.provenance["calibration_images"] == 26
    notes = {key["key"]: key["reason"].endswith("; then estimated anew on folder") for key in result["keys"]}
    assert {key for key, noted in notes.items() if noted} == {
        key for key in moved.state_dict() if key.rpartition(".")[2] in STATISTICS
    }
    assert "BatchNorm statistics from 26 training images of folder" in capsys.readouterr().out


def test_zero_batches_switch_it_off(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    guide(tmp_path, dataset="digits", recalibrate=0)
    assert int(load(tmp_path / OUT).layer1[0].bn1.num_batches_tracked) == 0
    assert "BatchNorm statistics as transferred (`recalibrate=0`)" in capsys.readouterr().out
    assert read_checkpoint(tmp_path / OUT).dataset is not None


@pytest.fixture(scope="module")
def colour(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Colour images of two classes: what the source's first layer takes as it is."""
    from PIL import Image

    root = tmp_path_factory.mktemp("colour")
    for part in ("train", "test"):
        for number, name in enumerate(("dark", "light")):
            (root / part / name).mkdir(parents=True)
            for index, pixels in enumerate((images(4, size=16) * 40 + 60 + 70 * number).clamp(0, 255)):
                array = pixels.permute(1, 2, 0).byte().numpy()
                Image.fromarray(array).save(root / part / name / f"{index}.png")
    return root


def test_the_sources_own_network_keeps_its_statistics_unless_asked(
    network: nn.Module, weights: Path, colour: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"dataset": "folder", "data_dir": colour, "num_classes": 2, "in_channels": 3, "weights": weights}
    run(tmp_path, **given)
    assert "BatchNorm statistics as in the source, whose network this is" in capsys.readouterr().out
    kept = load(tmp_path / OUT).state_dict()
    own = network.state_dict()
    assert all(torch.equal(kept[key], own[key]) for key in own if not key.startswith("fc."))
    assert read_checkpoint(tmp_path / OUT).dataset is not None
    run(tmp_path, **given, recalibrate=1)
    assert "BatchNorm statistics from 8 training images of folder" in capsys.readouterr().out
    asked = load(tmp_path / OUT).state_dict()
    changed = {
        key.rpartition(".")[2] for key in own if not (key.startswith("fc.") or torch.equal(asked[key], own[key]))
    }
    assert changed == set(STATISTICS)


def test_the_sources_own_network_sees_images_as_it_learnt_them(weights: Path, colour: Path, tmp_path: Path) -> None:
    said = timm.get_pretrained_cfg("test_resnet")
    learnt = {"mean": [*said.mean], "std": [*said.std]}
    given = {"dataset": "folder", "data_dir": colour, "num_classes": 2, "in_channels": 3}
    for known, expected in (
        ({**given, "weights": weights}, {"name": "folder", **learnt}),
        ({**given, "weights": weights, "stem": "cifar", "head": "means"}, {"name": "folder", **learnt}),
        ({"weights": weights}, learnt),  # images of what, is not known
    ):
        run(tmp_path, **known)
        assert normalization_of(read_checkpoint(tmp_path / OUT).dataset) == expected
    own = load_dataset("folder", colour)
    run(tmp_path, **given, pretrained=False)
    assert normalization_of(read_checkpoint(tmp_path / OUT).dataset) == {
        "name": "folder",
        "mean": [*own.mean],
        "std": [*own.std],
    }


# The classifier


def folder_settings(folder: Path, weights: Path) -> dict[str, Any]:
    shape = {"dataset": "folder", "data_dir": folder, "num_classes": 2, "in_channels": 1}
    return {**shape, "weights": weights, "stem": "cifar"}


@pytest.mark.parametrize("asked", [{"head": "zero"}, {}])
def test_a_replaced_head_starts_from_zero(weights: Path, folder: Path, tmp_path: Path, asked: dict[str, str]) -> None:
    """In a library's network by itself: timm draws the few classes of some so large that they are sure, and wrong."""
    result = run(tmp_path, **folder_settings(folder, weights), **asked)
    assert not load(tmp_path / OUT)(images(2, 1)).any()
    assert [key["reason"].endswith("; set to zero") for key in result["keys"]][-2:] == [True, True]


def test_a_replaced_head_can_start_from_the_class_means(weights: Path, folder: Path, tmp_path: Path) -> None:
    """Every class mean is nearest to itself, in the features as they are after the statistics were estimated."""
    result = run(tmp_path, **folder_settings(folder, weights), head="means")
    model: Any = load(tmp_path / OUT)
    dataset = load_dataset("folder", folder)
    pixels = (dataset.train.images / 255 - torch.tensor(dataset.mean)) / torch.tensor(dataset.std)
    with torch.no_grad():
        features = model.forward_head(model.forward_features(pixels), pre_logits=True)
        means = torch.stack([features[dataset.train.labels == label].mean(0) for label in (0, 1)])
        logits = model.fc(means)
        between = model.fc(means.mean(0))
    assert logits.argmax(1).tolist() == [0, 1]
    assert between[0].item() == pytest.approx(between[1].item(), abs=1e-3)
    assert result["keys"][-1]["reason"].endswith("; set to the class means of 26 images of folder")


def test_a_head_of_the_source_is_kept(network: nn.Module, weights: Path, tmp_path: Path) -> None:
    run(tmp_path, weights=weights, head="zero")
    assert torch.equal(load(tmp_path / OUT).state_dict()["fc.weight"], network.state_dict()["fc.weight"])
