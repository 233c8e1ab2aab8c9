"""torchvision's and timm's networks through the verbs: train, go on, prune, fine-tune, evaluate, info."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from netslim.core.errors import CheckpointError, UsageError
from netslim.models import create_model
from netslim.network import load, save
from netslim.stages.evaluate import run as evaluate
from netslim.stages.evaluate.config import EvaluateConfig
from netslim.stages.info import run as info
from netslim.stages.info.config import InfoConfig
from netslim.stages.prune import run as prune
from netslim.stages.prune.config import PruneConfig

pytest.importorskip("timm")

Train = Callable[..., dict[str, Any]]
ARCH = "timm/test_resnet"
BEST = "model_best.pth.tar"


@pytest.fixture
def start(tmp_path: Path) -> Path:
    path = tmp_path / "start.pth.tar"
    save(path, create_model(ARCH, num_classes=2, in_channels=1, stem="cifar"))
    return path


def test_the_whole_way(run_train: Train, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = run_train(save=tmp_path / "a", arch=ARCH, depth=None, stem="cifar", epochs=1)
    assert capsys.readouterr().out.startswith("training timm/test_resnet (372.59k parameters) on folder: 23 images, ")
    assert load(Path(first["file"])).arch.arguments == {"num_classes": 2, "in_channels": 1, "stem": "cifar"}
    second = run_train(save=tmp_path / "b", resume=Path(first["file"]), depth=None, epochs=1)
    assert second["params"] == first["params"]
    # resprune.py always asks for a depth
    given = {"data_dir": folder, "device": "cpu", "depth": 164, "percent": 0.4}
    small = prune.run(PruneConfig(model=Path(second["file"]), save=tmp_path / "c", **given))
    assert small["params"] < second["params"]
    third = run_train(save=tmp_path / "d", refine=Path(small["file"]), depth=None, epochs=1)
    assert third["params"] == small["params"]
    assert "k parameters, pruned) on folder: " in capsys.readouterr().out
    found = evaluate.run(EvaluateConfig(model=Path(third["file"]), data_dir=folder, device="cpu"))
    assert found["top1"] == third["test_top1"]
    facts = info.run(InfoConfig(model=Path(third["file"])))
    assert facts["architecture"] == "timm/test_resnet(num_classes=2, in_channels=1, stem=cifar)"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"arch": ARCH, "depth": 164}, "`depth=164`: timm/test_resnet has its depth in its name; leave `depth` out"),
        (
            {"arch": "resnet", "stem": "cifar"},
            "`stem='cifar'`: only torchvision/NAME and timm/NAME have one; leave `stem` out",
        ),
        ({"arch": ARCH, "depth": None, "stem": "big"}, "unknown stem 'big' (known: cifar, imagenet)"),
        ({"arch": "timm/test_resnte", "depth": None}, "unknown timm network 'test_resnte'; did you mean test_resnet"),
    ],
)
def test_flags_that_the_architecture_has_not(
    run_train: Train, tmp_path: Path, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError) as error:
        run_train(save=tmp_path / "run", **given)
    assert str(error.value).startswith(message)
    assert not (tmp_path / "run").exists()


def test_a_file_of_a_network_without_a_depth(run_train: Train, start: Path, tmp_path: Path) -> None:
    """main.py always asks for one, unless `arch` names a library's network."""
    with pytest.raises(CheckpointError) as error:
        run_train(save=tmp_path / "run", resume=start, depth=19)
    assert str(error.value) == (
        f"{start} holds a timm/test_resnet, which has no depth: leave `depth` out "
        "(main.py: type `arch='timm/test_resnet'`)"
    )
    run_train(save=tmp_path / "run", resume=start, depth=None, arch=ARCH, stem="cifar", epochs=1)


def test_a_file_of_a_network_with_another_stem(run_train: Train, start: Path, trained: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as error:
        run_train(save=tmp_path / "run", resume=start, depth=None, stem="imagenet")
    assert str(error.value) == f"{start} holds a timm/test_resnet with stem cifar, not imagenet; type `stem='cifar'`"
    with pytest.raises(CheckpointError) as error:
        run_train(save=tmp_path / "run", resume=trained / BEST, stem="cifar")
    assert str(error.value) == f"{trained / BEST} holds a resnet, which has no stem: leave `stem` out"
