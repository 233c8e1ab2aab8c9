"""How the images are normalised that judge a network."""

from pathlib import Path
from typing import Any

import pytest

from netslim.core.checkpoint import read_checkpoint
from netslim.network import load, save
from netslim.stages.evaluate import run as evaluate
from netslim.stages.evaluate.config import EvaluateConfig

BEST = "model_best.pth.tar"


def run_evaluate(model: Path, **given: Any) -> dict[str, Any]:
    return evaluate.run(EvaluateConfig(model=model, device="cpu", **given))


def test_a_file_that_does_not_say_how_images_are_normalised(
    trained: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = read_checkpoint(trained / BEST)
    assert checkpoint.dataset
    mean, std = checkpoint.dataset["mean"][0], checkpoint.dataset["std"][0]
    right = run_evaluate(trained / BEST, data_dir=folder)
    assert "images " not in capsys.readouterr().out
    save(tmp_path / "own.pth.tar", load(trained / BEST))
    given: dict[str, Any] = {"dataset": "folder", "data_dir": folder}
    assert run_evaluate(tmp_path / "own.pth.tar", **given)["loss"] == right["loss"]
    line = f"images     pixels of 0 to 1, less {mean:g}, divided by {std:g} (own.pth.tar does not say: type `mean` and "
    assert capsys.readouterr().out.startswith(line)
    other = run_evaluate(tmp_path / "own.pth.tar", **given, mean="0.9")["loss"]
    assert capsys.readouterr().out.startswith(f"images     pixels of 0 to 1, less 0.9, divided by {std:g}\n")
    save(tmp_path / "said.pth.tar", load(trained / BEST), mean=[0.9], std=[std])
    assert run_evaluate(tmp_path / "said.pth.tar", **given)["loss"] == other != right["loss"]
    assert "images " not in capsys.readouterr().out
