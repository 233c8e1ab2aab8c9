"""What a training must not wait for before its first step, and a pruning not at all."""

import subprocess
import sys
from pathlib import Path

WATCHED = """
import sys
from netslim.cli.app import main
try:
    main(sys.argv[1:])
finally:
    print("loaded:", *(name for name in ("torch._dynamo", "sympy", "onnx", "timm", "torchvision", "matplotlib")
                       if name in sys.modules))
"""


def test_a_training_loads_neither_torchs_compiler_nor_what_other_stages_use(tmp_path: Path) -> None:
    """Each of them takes a second or several."""
    command = [sys.executable, "-c", WATCHED, "train", "--dataset", "digits", "--depth", "11", "--epochs", "1"]
    command += ["--batch-size", "600", "--device", "cpu", "--save", str(tmp_path / "run")]
    command += ["-sr", "--penalty", "proximal", "--nesterov", "--clip-grad-norm", "1", "--accumulate", "2"]
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    *said, loaded = found.stdout.splitlines()
    assert any(line.startswith("finished: val top-1") for line in said)
    assert loaded == "loaded:"


PRUNING = """
import sys
import netslim.stages.prune.run
unneeded = ("stages.train.run", "training.loop", "training.step", "training.optimizer", "training.penalties",
            "stages.evaluate", "stages.transfer")
print(*(name for name in unneeded if "netslim." + name in sys.modules))
"""


def test_a_pruning_loads_nothing_of_trainings() -> None:
    found = subprocess.run([sys.executable, "-c", PRUNING], capture_output=True, text=True, check=True, timeout=100)
    assert found.stdout == "\n"
