"""`netslim sweep` on a network that was trained for a second."""

import csv
import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from netslim.cli.app import main
from netslim.core.errors import CheckpointError, InterruptedRunError, UsageError
from netslim.models import create_model
from netslim.network import load, save
from netslim.stages.analyze import sweep
from netslim.stages.analyze.config import SweepConfig
from netslim.stages.analyze.trial import Trial
from netslim.stages.evaluate import run as evaluate
from netslim.stages.evaluate.config import EvaluateConfig
from netslim.stages.prune import run as prune
from netslim.stages.prune.config import PruneConfig

BEST = "model_best.pth.tar"


def run(model: Path, target: Path, **given: Any) -> dict[str, Any]:
    return sweep.run(SweepConfig(model=model, save=target, device="cpu", **{"latency_batch": 0, **given}))


@pytest.fixture(scope="session")
def swept(folder: Path, trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished sweep on the test images; not to be written to."""
    target = tmp_path_factory.mktemp("swept") / "run"
    run(trained / BEST, target, data_dir=folder, percents="0.2,0.5", split="test", latency_batch=2, recalibrate=1)
    return target


def rows_of(target: Path) -> list[dict[str, str]]:
    with (target / "sweep.csv").open() as stream:
        return list(csv.DictReader(stream))


def test_rows_are_what_evaluate_and_prune_say(swept: Path, trained: Path, folder: Path, tmp_path: Path) -> None:
    dense, *pruned = rows_of(swept)
    whole = evaluate.run(EvaluateConfig(model=trained / BEST, data_dir=folder, device="cpu"))
    assert (float(dense["top1"]), int(dense["params"]), int(dense["macs"])) == (
        whole["top1"],
        whole["params"],
        whole["macs"],
    )
    assert [row["budget"] for row in pruned] == ["0.2", "0.5"]
    for row in pruned:
        config = PruneConfig(
            model=trained / BEST,
            data_dir=folder,
            device="cpu",
            percent=float(row["budget"]),
            save=tmp_path / row["budget"],
        )
        expected = prune.run(config)
        assert float(row["top1"]) == expected["top1_masked"]
        assert (int(row["params"]), int(row["macs"])) == (expected["params"], expected["macs"])
        assert (int(row["channels"]), int(row["kept"])) == (expected["channels"], expected["kept"])


def test_latencies_are_milliseconds_with_quartiles(swept: Path) -> None:
    for row in rows_of(swept):
        assert 0 < float(row["latency_ms_q1"]) <= float(row["latency_ms"]) <= float(row["latency_ms_q3"]) < 1000


def test_files_and_the_images_that_judged(swept: Path) -> None:
    files = {"metrics.jsonl", "run.json", "report.html", "sweep.csv", "sweep.png"}
    assert {p.name for p in swept.iterdir()} - {".lock"} == files
    assert {row["judged_on"] for row in rows_of(swept)} == {"8 test images"}
    result = json.loads((swept / "run.json").read_text())["result"]
    assert [row["budget"] for row in result["rows"]] == ["unpruned", "0.2", "0.5"]


def test_the_file_of_the_network_is_only_read(trained: Path, folder: Path, tmp_path: Path) -> None:
    before = (trained / BEST).read_bytes()
    run(trained / BEST, tmp_path / "run", data_dir=folder, percents="0.5", recalibrate=1)
    assert (trained / BEST).read_bytes() == before


def test_targets_are_what_remains(trained: Path, folder: Path, tmp_path: Path) -> None:
    rows = run(trained / BEST, tmp_path / "run", data_dir=folder, target_macs="0.8, 0.6", recalibrate=0)["rows"]
    assert [row["macs"] / rows[0]["macs"] for row in rows[1:]] == pytest.approx([0.8, 0.6], rel=0.01)


def test_several_criteria(trained: Path, folder: Path, tmp_path: Path) -> None:
    rows = run(trained / BEST, tmp_path / "run", data_dir=folder, criterion="bn_scale, l1_norm", percents="0.5")["rows"]
    assert [row["criterion"] for row in rows[1:]] == ["bn_scale", "l1_norm"]


def test_a_budget_that_cannot_be_met_is_said_and_left_out(
    trained: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = run(trained / BEST, tmp_path / "run", data_dir=folder, target_macs="0.8,0.001", recalibrate=0)["rows"]
    assert [row["budget"] for row in rows] == ["unpruned", "0.8"]
    assert "bn_scale 0.001: " in capsys.readouterr().out
    with pytest.raises(UsageError, match=r"^none of the budgets could be met; see above$"):
        run(trained / BEST, tmp_path / "none", data_dir=folder, target_macs="0.001", recalibrate=0)


def test_finished_and_other_settings(
    swept: Path, trained: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given: dict[str, Any] = {"data_dir": folder, "split": "test", "latency_batch": 2, "recalibrate": 1}
    run(trained / BEST, swept, percents="0.2,0.5", **given)
    assert capsys.readouterr().out.endswith("sweep.csv is finished (3 rows); nothing to do\n")
    with pytest.raises(UsageError, match=r"holds another run \(percents: 0\.2,0\.5 there, 0\.3 now\)"):
        run(trained / BEST, swept, percents="0.3", **given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"percents": "0.1;0.2"}, "`percents='0.1;0.2'`: different numbers with commas between, for example"),
        ({"percents": "0.1,0.1"}, "`percents='0.1,0.1'`: different numbers"),
        ({"percents": "0.1,1.2"}, "`percent=1.2`: the share of channels to remove"),
        ({"percents": "0.1", "target_macs": "0.5"}, "`percents` and `target_macs` can't go together: type one of them"),
        ({"criterion": "bn_scale,l1"}, "unknown criterion 'l1'"),
        ({"split": "train"}, "`split='train'`: type val (held out of the training set) or test"),
    ],
)
def test_mistakes_are_said_before_anything_is_opened(tmp_path: Path, given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=rf"^{re.escape(message)}"):
        run(tmp_path / "missing.pth.tar", tmp_path / "run", **given)
    assert not (tmp_path / "run").exists()


def test_without_a_file_or_a_data_set(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such checkpoint file"):
        run(tmp_path / "missing.pth.tar", tmp_path / "run")
    save(tmp_path / "net.pth.tar", create_model("resnet", depth=11, num_classes=2, in_channels=1))
    with pytest.raises(UsageError, match=r"names no data set; type `dataset=NAME`$"):
        run(tmp_path / "net.pth.tar", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_interrupted_it_goes_on_with_the_rows_that_it_lacks(
    trained: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {"data_dir": folder, "percents": "0.2,0.4,0.6", "recalibrate": 1}
    straight = run(trained / BEST, tmp_path / "straight", **given)
    accuracies, done = Trial.accuracies, []

    def cut_off_in_the_second(trial: Trial, network: torch.nn.Module) -> dict[str, Any]:
        done.append(network)
        if len(done) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return accuracies(trial, network)

    monkeypatch.setattr(Trial, "accuracies", cut_off_in_the_second)
    with pytest.raises(InterruptedRunError, match="stopped after 2 of the networks; ") as stopped:
        run(trained / BEST, tmp_path / "run", **given)
    assert stopped.value.exit_code == 143
    assert "Half-finished" in (tmp_path / "run/report.html").read_text()
    assert not (tmp_path / "run/sweep.csv").exists()
    result = run(trained / BEST, tmp_path / "run", **given)
    assert len(done) == 4  # the first is there, the second was cut off
    assert result["rows"] == straight["rows"]


def test_a_pruned_network_can_be_swept(pruned: Path, folder: Path, tmp_path: Path) -> None:
    rows = run(pruned / "pruned.pth.tar", tmp_path / "run", data_dir=folder, percents="0.3", recalibrate=0)["rows"]
    assert rows[1]["macs"] < rows[0]["macs"]
    assert rows[0]["params"] == sum(p.numel() for p in load(pruned / "pruned.pth.tar").parameters())


def test_by_the_command_line(trained: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = [
        "--data-dir",
        folder,
        "--device",
        "cpu",
        "--percents",
        "0.5",
        "--latency-batch",
        0,
        "--save",
        tmp_path / "s",
    ]
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in ("sweep", trained / BEST, *flags)])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert "channels removed" in out
    folder_of_all = tmp_path / "s"
    files = ", ".join(str(folder_of_all / name) for name in ("sweep.csv", "sweep.png", "report.html"))
    assert out.endswith(f"wrote {files}\n")
