"""torchvision's and timm's networks through the verbs: train, go on, prune, fine-tune, evaluate, info."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from netslim.network import load
from netslim.stages.evaluate import run as evaluate
from netslim.stages.evaluate.config import EvaluateConfig
from netslim.stages.info import run as info
from netslim.stages.info.config import InfoConfig
from netslim.stages.prune import run as prune
from netslim.stages.prune.config import PruneConfig

pytest.importorskip("timm")


Train = Callable[..., dict[str, Any]]


ARCH = "timm/test_resnet"


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
