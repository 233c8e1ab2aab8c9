"""VGG and DenseNet by the original's commands: train, prune, fine-tune; then every file by netslim's own."""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from netslim.cli.scripts import translate
from netslim.network import load

Run = Callable[..., Any]
BEST = "model_best.pth.tar"


@pytest.mark.parametrize(
    ("arch", "depth", "prune", "layers"),
    [("vgg", 11, "vggprune.py", 8), ("densenet", 7, "denseprune.py", 6)],
)
def test_the_whole_way(
    arch: str, depth: int, prune: str, layers: int, netslim: Run, folder: Path, tmp_path: Path
) -> None:
    given = ["--dataset", "folder", "--data-dir", str(folder), "--depth", str(depth)]
    train = [*given, "--arch", arch, "--epochs", "1", "--batch-size", "4", "--precision", "fp32", "--no-cuda"]

    def script(name: str, *arguments: object) -> None:
        ended = netslim(*translate(name, [str(argument) for argument in arguments]))
        short = name == "main.py"  # so that it says that its few batches are
        assert (ended.code, ended.err.count("\n"), "too few for BatchNorms'" in ended.err) == (0, int(short), short)

    a, b, c, d = (tmp_path / name for name in "abcd")
    script("main.py", *train, "-sr", "--s", "0.001", "--save", a)
    script("main.py", *train, "--resume", a / BEST, "--save", b)
    script(prune, *given, "--percent", "0.5", "--model", b / BEST, "--save", c)
    script("main.py", *train, "--refine", c / "pruned.pth.tar", "--save", d)

    full, small, final = load(b / BEST), load(c / "pruned.pth.tar"), load(d / BEST)
    assert full.plan is None
    assert full.arch.arguments == {"depth": depth, "num_classes": 2, "in_channels": 1}
    assert small.plan is not None
    assert small.plan == final.plan
    assert len(small.plan.groups) == layers
    assert small.plan.total - small.plan.kept == small.plan.total // 2 + 1 - len(small.plan.clamped)
    assert small.cfg == final.cfg == torch.load(c / "pruned.pth.tar", weights_only=True)["cfg"]
    assert (c / "prune.txt").read_text().startswith(f"Configuration: \n{small.cfg}\n")
    for one, other in pairwise((full, small, final)):
        assert not torch.equal(one(torch.ones(1, 1, 8, 8)), other(torch.ones(1, 1, 8, 8)))
    found = json_of(netslim, tmp_path, "evaluate", d / BEST, "--data-dir", folder)
    assert found["top1"] == json.loads((d / "run.json").read_text())["result"]["test_top1"]
    facts = json_of(netslim, tmp_path, "info", d / BEST)
    assert facts["architecture"] == f"{arch}(depth={depth}, num_classes=2, in_channels=1)"
    assert facts["cfg"] == small.cfg


def json_of(netslim: Run, tmp_path: Path, *arguments: object) -> dict[str, Any]:
    """What a command prints, as data."""
    assert netslim(*arguments, "--json", tmp_path / "out.json").code == 0
    data: dict[str, Any] = json.loads((tmp_path / "out.json").read_text())
    return data


@pytest.mark.parametrize(("arch", "depth"), [("resnet", 164), ("vgg", 19), ("densenet", 40)])
def test_without_a_depth_it_is_the_familys_own(arch: str, depth: int) -> None:
    from netslim.stages.shared.architectures import fresh_model

    with torch.device("meta"):
        assert fresh_model(arch, None, None).arch.arguments["depth"] == depth


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], ""),  # main.py's own defaults, --arch vgg --depth 19, are a network
        (["--depth", "20"], "--depth 20: the depth of a VGG is 11, 13, 16 or 19"),
        (["--arch", "densenet"], ""),  # depth 19 is 3 x 5 + 4
        (
            ["--arch", "densenet", "--depth", "18"],
            "--depth 18: the depth of a DenseNet is 3n+4; the nearest is 16 or 19",
        ),
        (["--arch", "resnet"], "--depth 19: the depth of a bottleneck ResNet is 9n+2; the nearest is 11 or 20"),
    ],
)
def test_the_depths_of_main_py(arguments: list[str], message: str, netslim: Run, tmp_path: Path) -> None:
    save = ["--dataset", "folder", "--data-dir", str(tmp_path / "missing"), "--save", str(tmp_path / "run")]
    ended = netslim(*translate("main.py", [*arguments, *save]))
    assert ended.code == (2 if message else 1)
    assert message in ended.err
    assert ("missing" in ended.err) is (not message)


@pytest.mark.parametrize("script", ["vggprune.py", "denseprune.py"])
def test_a_file_of_another_depth(script: str, netslim: Run, checkpoint: Path, tmp_path: Path) -> None:
    arguments = ["--model", str(checkpoint), "--save", str(tmp_path / "run")]
    ended = netslim(*translate(script, arguments))
    asked = {"vggprune.py": 19, "denseprune.py": 40}[script]
    assert ended.code == 1
    assert ended.err == (f"netslim: error: {checkpoint} holds a resnet of depth 11, not {asked}; type --depth 11\n")
