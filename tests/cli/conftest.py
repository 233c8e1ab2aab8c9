"""The command line in this process, and networks and images that cost next to nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from netslim.cli.app import main
from netslim.models import create_model
from netslim.network import save


class Ended(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def netslim(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """`netslim("info", path)`: exit code, standard output and standard error of the command."""

    def run(*arguments: object) -> Ended:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        code = ended.value.code
        return Ended(code if isinstance(code, int) else 0, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Grey 8x8 images of two classes."""
    root, random = tmp_path_factory.mktemp("folder"), np.random.default_rng(0)
    for part in ("train", "test"):
        for name in ("a", "b"):
            (root / part / name).mkdir(parents=True)
            for index in range(6):
                pixels = random.integers(0, 255, (8, 8)).astype("uint8")
                Image.fromarray(pixels).save(root / part / name / f"{index}.png")
    return root


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network for `folder`, without the name of a data set in its file."""
    path = tmp_path_factory.mktemp("checkpoint") / "model.pth.tar"
    save(path, create_model("resnet", depth=11, num_classes=2, in_channels=1))
    return path
