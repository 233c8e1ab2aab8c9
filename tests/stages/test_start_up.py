"""What a pruning must not load at all, and a training not before its first step: each takes a second or several."""

import json
from pathlib import Path

import pytest

from fresh_python import FreshPython

WATCHED = """
import json, sys
import netslim.stages.prune.run
pruning = list(sys.modules)
from netslim.cli.app import main
try:
    main(sys.argv[1:])
finally:
    print(json.dumps([pruning, list(sys.modules)]))
"""


@pytest.fixture(scope="module")
def ended(folder: Path, fresh_python: FreshPython, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What is printed by a process that imports the pruning, then trains; at last, the modules after each."""
    words = ["train", "--dataset", "folder", "--data-dir", folder, "--depth", 11, "--epochs", 1, "--batch-size", 8]
    words += ["--device", "cpu", "-sr", "--penalty", "proximal", "--nesterov", "--clip-grad-norm", 1, "--accumulate", 2]
    done = fresh_python(WATCHED, *words, "--save", "run", folder=tmp_path_factory.mktemp("watched"))
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_pruning_loads_nothing_of_trainings(ended: list[str]) -> None:
    pruning, _ = json.loads(ended[-1])
    assert "netslim.stages.prune.run" in pruning
    parts = ("stages.train.run", "training.loop", "training.step", "training.optimizer", "training.penalties")
    unneeded = {f"netslim.{name}" for name in (*parts, "stages.evaluate", "stages.transfer")}
    assert not unneeded & set(pruning)


def test_a_training_loads_neither_torchs_compiler_nor_what_other_stages_use(ended: list[str]) -> None:
    *said, loaded = ended
    assert any(line.startswith("finished: val top-1") for line in said)
    _, training = json.loads(loaded)
    assert "netslim.stages.train.run" in training
    assert not {"torch._dynamo", "sympy", "onnx", "timm", "torchvision", "matplotlib"} & set(training)
