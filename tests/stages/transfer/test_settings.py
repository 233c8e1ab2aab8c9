"""What the settings of a transfer come to."""

from pathlib import Path
from typing import Any

import pytest

from netslim.core.errors import NetslimError, UsageError
from netslim.stages.transfer.config import TransferConfig
from netslim.stages.transfer.settings import check, resolve, strategy_of
from transfer.tiny_transfers import guide, run, settings


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
        (
            {"arch": "same", "source": "torchvision", "model_name": "resnet999"},
            "unknown torchvision network 'resnet999'; did you mean resnet",
        ),
        ({"arch": "same", "source": "keras"}, "unknown library 'keras'"),
        (
            {"arch": "vgg"},
            "`arch='vgg'`: a ResNet's weights have no place in it; type resnet, same, timm/NAME or torchvision/NAME",
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


def test_a_network_that_there_is_not_is_known_before_the_work() -> None:
    check(TransferConfig(model_name="resnet18", arch="same"))
    check(TransferConfig(source="timm", model_name="resnet18.a1_in1k", arch="same"))
    with pytest.raises(UsageError, match=r"^unknown torchvision network 'resnt18'; did you mean resnet18 or "):
        check(TransferConfig(model_name="resnt18", arch="same"))


def test_options_of_the_strategy_select(tmp_path: Path) -> None:
    config = settings(tmp_path, arch="resnet", depth=11, strategy="select", last_stage="merge")
    chosen: Any = strategy_of(config, resolve(config))
    assert chosen.keywords["options"].last_stage == "merge"
    plain = settings(tmp_path, arch="resnet", depth=11, strategy="select")
    assert strategy_of(plain, resolve(plain)) == "select"
