"""`netslim transfer`: the source's own network, the images it is for, its classifier, and what is said of it all."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from netslim.core.checkpoint import read_checkpoint
from netslim.core.errors import NetslimError, UsageError
from netslim.data import load_dataset
from netslim.network import load
from netslim.stages.transfer import run as transfer
from netslim.stages.transfer.config import TransferConfig
from netslim.stages.transfer.settings import resolve, strategy_of

timm = pytest.importorskip("timm")

TAGGED = "test_resnet.r160_in1k"
OUT = "out.pth.tar"
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """timm's smallest ResNet, with statistics, scales and shifts as if it had learnt something."""
    with torch.random.fork_rng():
        torch.manual_seed(4)
        model: nn.Module = timm.create_model("test_resnet").eval()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                for tensor in (module.weight, module.running_var):
                    nn.init.uniform_(tensor, 0.5, 1.5)
                for tensor in (module.bias, module.running_mean):
                    nn.init.normal_(tensor, std=0.1)
    return model


@pytest.fixture(scope="module")
def weights(network: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "test_resnet.pth"
    torch.save(network.state_dict(), path)
    return path


def settings(tmp_path: Path, **given: Any) -> TransferConfig:
    """Of timm's network into itself, without a data set."""
    plain = {"source": "timm", "model_name": "test_resnet", "arch": "same", "device": "cpu", "output": tmp_path / OUT}
    return TransferConfig(**{**plain, "data_dir": tmp_path / "data", **given})


def run(tmp_path: Path, **given: Any) -> dict[str, Any]:
    return transfer.run(settings(tmp_path, **given))


def guide(tmp_path: Path, **given: Any) -> dict[str, Any]:
    """Into the guide's resnet."""
    return run(tmp_path, **{"arch": "resnet", "depth": 11, "pretrained": False, **given})


def images(count: int, channels: int = 3, size: int = 32) -> Tensor:
    return torch.randn(count, channels, size, size, generator=torch.Generator().manual_seed(0))


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
    assert checkpoint.dataset is None
    assert checkpoint.extra == {"source": "timm", "source_model": name}
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"timm {name} -> prunable timm/test_resnet, stem imagenet, for 1,000 classes"
    assert "BatchNorm statistics as in the source, whose network this is" in lines
    assert lines[-1] == f"  netslim train `resume='{tmp_path / OUT}'` `dataset=NAME` `save='./fine_tuned_model'`"


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


def test_zero_batches_switch_it_off(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    guide(tmp_path, dataset="digits", recalibrate=0)
    assert int(load(tmp_path / OUT).layer1[0].bn1.num_batches_tracked) == 0
    assert "BatchNorm statistics as transferred (`recalibrate=0`)" in capsys.readouterr().out
    assert read_checkpoint(tmp_path / OUT).dataset is not None


def test_nothing_is_downloaded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    guide(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [OUT]
    line = f"no data at hand for cifar10 (looked in {tmp_path / 'data'}): type `data_dir=DIR` to estimate"
    assert f"{line} BatchNorm statistics" in capsys.readouterr().out.splitlines()
    assert read_checkpoint(tmp_path / OUT).extra["dataset"] == "cifar10"


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


# The classifier


def folder_settings(folder: Path, weights: Path) -> dict[str, Any]:
    shape = {"dataset": "folder", "data_dir": folder, "num_classes": 2, "in_channels": 1}
    return {**shape, "weights": weights, "stem": "cifar"}


def test_a_replaced_head_can_start_from_zero(weights: Path, folder: Path, tmp_path: Path) -> None:
    result = run(tmp_path, **folder_settings(folder, weights), head="zero")
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
    assert ["key", "role", "from", "operation", "reason"] in lines
    row = "layer1.0.conv1.weight layer1.0 conv1 layer1.0.conv1.weight copied same name and shape"
    assert row.split() in lines


@pytest.mark.parametrize("flag", ["output", "report", "plot"])
def test_a_file_that_can_not_be_written_is_known_before_the_work(tmp_path: Path, flag: str) -> None:
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(NetslimError, match=r"^cannot write .*folder\.png: it is a folder; nothing was changed$"):
        run(tmp_path, weights=tmp_path / "missing.pth", **{flag: tmp_path / "folder.png"})
    assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]


# Refusals


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"arch": "resnet", "stem": "cifar"},
            "`stem='cifar'`: only torchvision/NAME and timm/NAME have one; leave `stem` out",
        ),
        ({"stem": "big"}, "unknown stem 'big' (known: cifar, imagenet)"),
        ({"depth": 50}, "`depth=50`: timm/test_resnet has its depth in its name; leave `depth` out"),
        ({"head": "one"}, "`head='one'`: type zero, random or means"),
        ({"last_stage": "keep"}, "`last_stage='keep'`: type drop or merge"),
        ({"select_by": "luck"}, "`select_by='luck'`: type spacing or importance"),
        (
            {"last_stage": "merge"},
            "`last_stage='merge'`: strategy exact has no such choice; type `strategy='select'` with it",
        ),
        (
            {"recalibrate": 3},
            "`recalibrate=3` needs training images; no data set is named: type `dataset=NAME` `data_dir=DIR`",
        ),
        (
            {"recalibrate": 3, "dataset": "cifar100"},
            "`recalibrate=3` needs training images; no data at hand for cifar100 (looked in DATA): type `data_dir=DIR`",
        ),
        (
            {"head": "means", "dataset": "folder", "num_classes": 2, "in_channels": 1},
            "`head='means'` needs training images; no data at hand for folder (looked in DATA): type `data_dir=DIR`",
        ),
        (
            {"dataset": "digits", "num_classes": 11},
            "`num_classes=11`: the data set digits has 10; type `num_classes=10`",
        ),
        ({"dataset": "cifar10", "in_channels": 1}, "`in_channels=1`: the data set cifar10 has 3; type `in_channels=3`"),
        ({"plot": Path("p.gif")}, "'p.gif'"),
        ({"arch": "torchvision/resnet51"}, "unknown torchvision network 'resnet51'; did you mean resnet"),
        ({"arch": "same", "source": "keras"}, "unknown library 'keras'"),
        (
            {"arch": "vgg"},
            "`arch='vgg'`: a ResNet's weights have no place in it; type resnet, same, torchvision/NAME or timm/NAME",
        ),
        ({"arch": "densenet"}, "`arch='densenet'`: a ResNet's weights have no place in it; type resnet, same, "),
        (
            {"model_name": "efficientnet_b0", "arch": "resnet"},
            "timm model 'efficientnet_b0' is not a ResNet that netslim knows",
        ),
        ({"strategy": "magic"}, "unknown transfer strategy 'magic'"),
    ],
)
def test_refusals(tmp_path: Path, given: dict[str, Any], message: str) -> None:
    """Before the source is looked for: there is no such file."""
    with pytest.raises(UsageError) as error:
        run(tmp_path, weights=tmp_path / "missing.pth", **given)
    assert message.replace("DATA", str(tmp_path / "data")) in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_other_classes_than_asked_for(folder: Path, tmp_path: Path) -> None:
    given = {"dataset": "folder", "data_dir": folder, "num_classes": 3, "in_channels": 1}
    with pytest.raises(UsageError) as error:
        guide(tmp_path, **given)
    assert str(error.value) == "`num_classes=3`: the data set folder has 2; type `num_classes=2`"


def test_options_of_the_strategy_select(tmp_path: Path) -> None:
    config = settings(tmp_path, arch="resnet", depth=11, strategy="select", last_stage="merge")
    chosen: Any = strategy_of(config, resolve(config))
    assert chosen.keywords["options"].last_stage == "merge"
    plain = settings(tmp_path, arch="resnet", depth=11, strategy="select")
    assert strategy_of(plain, resolve(plain)) == "select"


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
