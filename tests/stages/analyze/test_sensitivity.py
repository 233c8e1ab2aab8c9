"""`netslim sensitivity` on a network that was trained for a second."""

import csv
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from netslim.core.errors import UsageError
from netslim.cost import measure
from netslim.data import evaluation_batches, load_dataset
from netslim.network import load
from netslim.pruning import masked, plan
from netslim.stages.analyze import sensitivity
from netslim.stages.analyze.config import SensitivityConfig
from netslim.training.evaluate import evaluate

BEST = "model_best.pth.tar"


ALL = 8  # images of the test set


def run(model: Path, target: Path, **given: Any) -> dict[str, Any]:
    return sensitivity.run(SensitivityConfig(model=model, save=target, device="cpu", **given))


@pytest.fixture(scope="session")
def measured(folder: Path, trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run on the test images; not to be written to."""
    target = tmp_path_factory.mktemp("measured") / "run"
    run(trained / BEST, target, data_dir=folder, shares="0.75,0.5", split="test")
    return target


def rows_of(target: Path) -> list[dict[str, str]]:
    with (target / "sensitivity.csv").open() as stream:
        return list(csv.DictReader(stream))


def test_every_layer_alone_loses_its_lowest_channels(measured: Path, trained: Path, folder: Path) -> None:
    model, dataset = load(trained / BEST), load_dataset("folder", folder)
    example = torch.zeros(1, *dataset.test.images.shape[1:])
    dense, *rows = rows_of(measured)
    names = [group.name for group in model.channel_groups()]
    assert [(row["layer"], row["share"]) for row in rows] == [(name, s) for name in names for s in ("0.5", "0.75")]
    for row in rows[::5]:
        decided = plan(model, example, percent=float(row["share"]), per_layer=True, only=[row["layer"]])
        batches = evaluation_batches(dataset.test, dataset, batch_size=ALL, device=torch.device("cpu"))
        assert float(row["top1"]) == evaluate(masked(model, decided), batches).top1
        assert int(row["removed"]) == decided.total - decided.kept
        assert (int(row["params"]), int(row["macs"])) == (decided.after.params, decided.after.macs)
        assert (
            int(row["macs_freed"])
            == measure(model, example).macs - decided.after.macs
            == int(dense["macs"]) - int(row["macs"])
        )
        assert float(row["drop"]) == pytest.approx(float(dense["top1"]) - float(row["top1"]), abs=1e-6)


def test_the_table_is_sorted_by_the_price_of_a_percent_of_the_macs(
    trained: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = run(trained / BEST, tmp_path / "run", data_dir=folder, shares="0.5", images=2, recalibrate=1)
    assert result["judged_on"] == "2 training images that its training held out"
    out = capsys.readouterr().out
    assert "top-1 at -50 %" in out
    dense, *rows = result["rows"]
    lines = [line.split() for line in out.splitlines() if line.strip().startswith(("layer1", "layer2", "layer3", "bn"))]
    prices = [float(line[-1]) for line in lines]
    assert prices == sorted(prices)
    printed = dict(zip((line[0] for line in lines), prices, strict=True))
    for row in rows:
        drop, freed = dense["top1"] - row["top1_recalibrated"], row["macs_freed"] / dense["macs"]
        assert printed[row["layer"]] == pytest.approx(drop / freed, abs=6e-4)


def test_the_images_are_drawn_once_and_for_all(trained: Path, folder: Path, tmp_path: Path) -> None:
    first, second = (
        run(trained / BEST, tmp_path / name, data_dir=folder, shares="0.5", split="test", images=3)["rows"]
        for name in "ab"
    )
    assert first == second


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"shares": "0.5,"}, "`shares='0.5,'`: different numbers with commas between"),
        ({"shares": "0.5,1"}, "`shares='0.5,1'`: every share is above 0 and below 1"),
        ({"criterion": "slope"}, "unknown criterion 'slope'"),
        ({"split": "train"}, "`split='train'`: type val"),
    ],
)
def test_mistakes_are_said_before_anything_is_opened(tmp_path: Path, given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=rf"^{re.escape(message)}"):
        run(tmp_path / "missing.pth.tar", tmp_path / "run", **given)
    assert not (tmp_path / "run").exists()


def test_shares_that_remove_nothing(trained: Path, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^`shares='0\.5'` removes nothing: every layer keeps `min_channels=4096`$"):
        run(trained / BEST, tmp_path / "run", data_dir=folder, shares="0.5", min_channels=4096)


def test_the_finished_run_says_so(
    measured: Path, trained: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(trained / BEST, measured, data_dir=folder, shares="0.75,0.5", split="test")
    assert re.search(r"sensitivity\.csv is finished \(\d+ rows\); nothing to do\n$", capsys.readouterr().out)
