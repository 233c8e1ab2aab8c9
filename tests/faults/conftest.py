"""Tiny runs of every verb that writes, and the command line in this process and in others."""

import multiprocessing
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from netslim.cli.app import main
from netslim.core.checkpoint import write_checkpoint
from netslim.models import create_model
from netslim.network import describe, save

sys.path.append(str(Path(__file__).parents[1] / "stages"))  # processes that can be killed


class Ended(NamedTuple):
    code: int
    err: str


@pytest.fixture
def netslim(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """`netslim("info", path)`: exit code and standard error of the command, in this process."""

    def run(*arguments: object) -> Ended:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        code = ended.value.code
        return Ended(code if isinstance(code, int) else 0, capsys.readouterr().err)

    return run


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Grey 8x8 images of two classes."""
    root, random = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for part in ("train", "test"):
        for name in ("a", "b"):
            (root / part / name).mkdir(parents=True)
            for index in range(6):
                pixels = random.integers(0, 255, (8, 8)).astype("uint8")
                Image.fromarray(pixels).save(root / part / name / f"{index}.png")
    return root


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network for `images`."""
    path = tmp_path_factory.mktemp("model") / "model.pth.tar"
    checkpoint = describe(create_model("resnet", depth=11, num_classes=2, in_channels=1))
    checkpoint.dataset = {"name": "folder", "mean": [0.5], "std": [0.25], "image_size": [8, 8], "in_channels": 1}
    write_checkpoint(path, checkpoint)
    return path


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same network in a file without a data set, as a source of weights."""
    path = tmp_path_factory.mktemp("weights") / "weights.pth.tar"
    save(path, create_model("resnet", depth=11, num_classes=2, in_channels=1))
    return path


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., object]:
    """`start("train", ...)` is `netslim train ...` in a process forked from a server that has imported torch."""
    from started_process import Started, command_line

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["netslim.stages.demo.run", "torch._dynamo", "torchvision"])
    logs = tmp_path.with_name(f"{tmp_path.name}-logs")
    logs.mkdir()

    def run(*arguments: object) -> Started:
        log = logs / f"process-{len(list(logs.iterdir()))}"
        process = context.Process(target=command_line, args=([str(a) for a in arguments], log, logs, None))
        process.start()
        return Started(process, log)

    return run
