"""A folder of a few tiny images, runs on it that take a fraction of a second, and processes that can be killed."""

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from own_code import MINE, Ended, Run
from PIL import Image
from started_process import Started, command_line

import netslim
from netslim.cli.app import main
from netslim.stages.prune import run as prune
from netslim.stages.prune.config import PruneConfig
from netslim.stages.train import run as train
from netslim.stages.train.config import TrainConfig

Train = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def no_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Forms and times that were measured outside of a test are none of its own; drawings keep their list of fonts."""
    kept = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    monkeypatch.setenv("MPLCONFIGDIR", os.environ.get("MPLCONFIGDIR") or str(kept / "matplotlib"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Grey 8x8 images of two classes, one darker than the other: 26 for training, 8 for testing."""
    root, random = tmp_path_factory.mktemp("folder"), np.random.default_rng(0)
    for part, count in (("train", 13), ("test", 4)):
        for number, name in enumerate(("dark", "light")):
            (root / part / name).mkdir(parents=True)
            for index in range(count):
                pixels = random.integers(0, 200, (8, 8)) + 55 * number
                Image.fromarray(pixels.astype("uint8")).save(root / part / name / f"{index}.png")
    return root


def settings(folder: Path, **given: Any) -> TrainConfig:
    plain = {"dataset": "folder", "data_dir": folder, "depth": 11, "epochs": 2, "batch_size": 8, "lr": 0.05}
    return TrainConfig(**{**plain, "device": "cpu", "precision": "fp32", **given})


@pytest.fixture(scope="session")
def run_train(folder: Path) -> Train:
    """`run_train(save=..., **settings)` trains in this process."""
    return lambda **given: train.run(settings(folder, **given))


@pytest.fixture(scope="session")
def trained(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run with the penalty; not to be written to."""
    save = tmp_path_factory.mktemp("trained") / "run"
    train.run(settings(folder, save=save, sparsity_regularization=True, s=0.01))
    return save


@pytest.fixture(scope="session")
def pruned(folder: Path, trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a pruned network; not to be written to."""
    save = tmp_path_factory.mktemp("pruned") / "run"
    model = trained / "model_best.pth.tar"
    prune.run(PruneConfig(model=model, data_dir=folder, device="cpu", save=save, percent=0.4))
    return save


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., Started]:
    """`start("train", ...)` is `netslim train ...`, `start("main.py", ...)` is `python main.py ...`.

    A server that has imported torch once forks these processes: everything in them is real but the start's cost.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["netslim.stages.demo.run", "torch._dynamo", "torchvision"])
    count = 0

    def run(*arguments: object, cwd: Path | None = None, largest_file: int | None = None) -> Started:
        nonlocal count
        count += 1
        log = tmp_path / f"process-{count}"
        process = context.Process(
            target=command_line, args=([str(argument) for argument in arguments], log, cwd or tmp_path, largest_file)
        )
        process.start()
        return Started(process, log)

    return run


@pytest.fixture
def run_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`run_own("train", ...)` is the command, in a folder with `mine.py`."""
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)

    def netslim(*arguments: object) -> Ended:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        return Ended(int(ended.value.code or 0), *capsys.readouterr())

    return netslim


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A dense and a pruned VGG of few channels."""
    folder = tmp_path_factory.mktemp("networks")
    torch.manual_seed(0)
    cfg = [8, "M", 8, "M", 12, 12, "M", 16, 16, "M", 16, 16]
    dense = netslim.create_model("vgg", depth=11, num_classes=3, cfg=cfg)
    for module in dense.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight)
    small = netslim.apply(dense, netslim.plan(dense, torch.zeros(1, 3, 16, 16), percent=0.5))
    netslim.save(folder / "dense.pth.tar", dense)
    netslim.save(folder / "small.pth.tar", small)
    return folder / "dense.pth.tar", folder / "small.pth.tar"
