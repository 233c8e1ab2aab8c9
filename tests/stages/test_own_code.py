"""Code of the user's own through the verbs, in this process, on images that take a fraction of a second."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from own_code import DATA, MINE, NET, PLAIN, TRAIN, Run

import netslim
from netslim.core.errors import CheckpointError
from netslim.training.loop import Training


def recorded(folder: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(folder, "run.json").read_text())
    return found


def test_the_whole_way_of_an_own_classifier(run_own: Run) -> None:
    done = run_own(*TRAIN, "--arch-args", "width=8", "num_classes=3", "-sr", "--s", 0.01, "--save", "sparse")
    assert done.code == 0, done.err
    assert "training mine.py:net" in done.out
    assert "val top-1" in done.out
    assert "--dataset mine.py:data --arch mine.py:net" in done.out.splitlines()[-1]
    parents = recorded("sparse")["parents"]
    assert parents["code of arch"]["sha256"] == parents["code of dataset"]["sha256"]
    kept = torch.load("sparse/checkpoint.pth.tar")["netslim"]["arch"]
    assert kept["arguments"] == {"num_classes": 3, "width": 8}
    assert len(kept["sha256"]) == 64

    done = run_own(
        "prune", "sparse/checkpoint.pth.tar", *NET, *DATA, "--percent", 0.4, "--save", "pruned", "--device", "cpu"
    )
    assert done.code == 0, done.err
    assert "test top-1" in done.out
    assert Path("pruned/prune.txt").read_text().startswith("Configuration: \n[")
    done = run_own("train", "--refine", "pruned/pruned.pth.tar", *NET, *DATA, *PLAIN, "--save", "small")
    assert done.code == 0, done.err
    assert "pruned) on mine.py:data" in done.out
    small = ("small/model_best.pth.tar", *NET)
    for verb in (
        ("evaluate", *small, *DATA),
        ("info", *small),
        ("export", *small),
        ("export", *small, "--target", "safetensors"),
    ):
        done = run_own(*verb)
        assert done.code == 0, done.err
    bench = ("bench", *small, "--seconds", 0.02, "--batch-sizes", 1, "--no-memory", "--engines", "eager", "--save", "b")
    assert run_own(*bench).code == 0
    for verb in (("sweep", "--percents", 0.3, "--latency-batch", 0), ("sensitivity", "--shares", 0.5)):
        done = run_own(verb[0], "sparse/model_best.pth.tar", *NET, *DATA, *verb[1:], "--device", "cpu")
        assert done.code == 0, done.err
        assert "top-1 on 24 val images" in done.out


@pytest.mark.parametrize(
    ("net", "data", "size"),
    [("net_1d", "signals", [64]), pytest.param("net_3d", "volumes", [5, 8, 8], marks=pytest.mark.slow)],
)
def test_signals_and_volumes_go_the_same_way(run_own: Run, net: str, data: str, size: list[int]) -> None:
    own = ("--arch", f"mine.py:{net}", "--dataset", f"mine.py:{data}", "--device", "cpu")
    done = run_own("train", *own, *PLAIN, "-sr", "--s", 0.01, "--save", "sparse")
    assert done.code == 0, done.err
    assert torch.load("sparse/checkpoint.pth.tar")["netslim"]["dataset"]["image_size"] == size
    done = run_own("prune", "sparse/checkpoint.pth.tar", *own, "--percent", 0.4, "--save", "pruned")
    assert done.code == 0, done.err
    done = run_own("train", "--refine", "pruned/pruned.pth.tar", *own, *PLAIN, "--save", "small")
    assert done.code == 0, done.err
    for verb in (("evaluate", *own), ("info", *own[:2]), ("export", *own[:2])):
        done = run_own(verb[0], "small/model_best.pth.tar", *verb[1:])
        assert done.code == 0, done.err


def test_an_own_loss_metric_and_optimizer_where_lower_is_better(run_own: Run) -> None:
    own = ("--loss", "mine.py:loss", "--metric", "mine.py:error_rate", "--optimizer", "torch.optim:RAdam")
    done = run_own(*TRAIN, *own, "--epochs", 3, "--lr", 0.01, "--save", "a")
    assert done.code == 0, done.err
    rows = [json.loads(line) for line in Path("a/metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["best_metric"] == min(row["metric"] for row in rows)
    assert "top1" not in rows[0]
    result = recorded("a")["result"]
    assert (result["metric_name"], result["best_metric"]) == ("mine.py:error_rate", rows[-1]["best_metric"])
    assert "val error_rate" in done.out
    assert "top-1" not in done.out
    model = ("a/model_best.pth.tar", *NET, *DATA)
    found = run_own("evaluate", *model)
    assert (found.code, found.err) == (
        2,
        "netslim: error: a/model_best.pth.tar was trained with loss mine.py:loss: type --loss mine.py:loss, or another "
        "--loss\n",
    )
    found = run_own("evaluate", *model, *own[:4], "--json", "e.json")
    assert "mine.py:data test: error_rate " in found.out
    assert json.loads(Path("e.json").read_text())["metric"] == result["test_metric"]
    done = run_own("prune", *model, *own[:4], "--percent", 0.3, "--save", "p", "--device", "cpu")
    assert "test error_rate" in done.out
    assert "--loss mine.py:loss --metric mine.py:error_rate --optimizer torch.optim:RAdam --lr 0.001" in done.out
    best = torch.load("a/model_best.pth.tar")
    assert best["best_prec1"] == 0.0
    assert best["netslim"]["task"]["best"] == result["best_metric"]


def test_a_run_that_was_cut_off_goes_on_unless_the_code_has_changed(
    run_own: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = (*TRAIN, "--optimizer", "adam", "--lr", 0.01, "--epochs", 3)
    assert run_own(*line, "--save", "whole").code == 0
    usual, calls = Training.check_stop, iter(range(100))

    def stopped(training: Training) -> None:
        training.stop = lambda: next(calls) == 4
        usual(training)

    monkeypatch.setattr(Training, "check_stop", stopped)
    assert "stopped in epoch 2 after batch 1; the state is in" in run_own(*line, "--save", "cut").err
    monkeypatch.setattr(Training, "check_stop", usual)
    done = run_own(*line, "--save", "cut")
    assert "going on with cut/checkpoint.pth.tar" in done.out
    whole, cut = (torch.load(f"{name}/checkpoint.pth.tar")["state_dict"] for name in ("whole", "cut"))
    assert all(torch.equal(whole[key], cut[key]) for key in whole)
    Path("mine.py").write_text(MINE + "\n# another\n")
    done = run_own(*line, "--save", "cut")
    assert done.code == 2
    assert "cut holds another run (code of arch: mine.py (" in done.err


def test_reopening_asks_for_the_reference_and_never_runs_what_a_file_names(run_own: Run) -> None:
    assert run_own(*TRAIN, "--epochs", 1, "--save", "a").code == 0
    model = "a/model_best.pth.tar"
    asked = f"netslim: error: {model} holds a network of mine.py:net: type --arch mine.py:net\n"
    for verb in (("info",), ("evaluate",), ("export",), ("prune", "--save", "p"), ("sweep",)):
        done = run_own(verb[0], model, *verb[1:])
        assert (done.code, done.err) == (2, asked), verb
    Path("mine.py").write_text("raise SystemExit('run!')\n")  # it would end the process
    with pytest.raises(
        CheckpointError, match=r"pass one with netslim.load\(path, model=net\(num_classes=3\)\)|pass one"
    ):
        netslim.load(model)
    space: dict[str, Any] = {}
    exec(MINE, space)  # noqa: S102
    assert netslim.load(model, model=space["net"]())(torch.zeros(1, 1, 8, 8)).shape == (1, 3)


def test_another_network_than_the_files_is_called_so(run_own: Run) -> None:
    assert run_own(*TRAIN, "--epochs", 1, "--save", "a").code == 0
    Path("other.py").write_text(MINE + "\n# another\n")
    done = run_own("info", "a/model_best.pth.tar", "--arch", "other.py:net")
    assert done.err.startswith(
        "netslim: note: other.py:net is not the mine.py:net of a/model_best.pth.tar: its weights"
    )


def test_code_that_has_changed_is_said_and_its_weights_must_fit(run_own: Run) -> None:
    assert run_own(*TRAIN, "--epochs", 1, "--save", "a").code == 0
    model = "a/model_best.pth.tar"
    Path("mine.py").write_text(MINE + "\n# another\n")
    done = run_own("info", model, *NET)
    assert done.code == 0
    assert done.err == (
        f"netslim: note: mine.py:net has changed since {model} was written: its weights fit, or this ends with what "
        f"does not\n"
    )
    done = run_own("info", model, *NET, "--arch-args", "width=7")
    assert done.code == 1
    assert (
        "does not fit mine.py:net {'width': 7}: 0.weight is (6, 1, 3, 3), not (7, 1, 3, 3)" in done.err.splitlines()[-1]
    )
    done = run_own("evaluate", model, *NET)
    assert (done.code, done.err.splitlines()[-1]) == (
        2,
        "netslim: error: the file names the data set mine.py:data: type --dataset mine.py:data to run it",
    )
    done = run_own("prune", model, *NET, "--save", "p", "--percent", 0.3)
    assert done.code == 0
    assert (
        "which runs only if you name it: pruning without accuracies (type --dataset mine.py:data for them)" in done.out
    )


def test_rounds_train_in_between_and_run_nothing_that_a_file_alone_names(run_own: Run) -> None:
    own = ("--loss", "mine.py:loss", "--metric", "mine.py:error_rate")
    assert run_own(*TRAIN, *own, "--epochs", 1, "--save", "a").code == 0
    rounds = ("prune", "a/model_best.pth.tar", *NET, "--percent", 0.4, "--steps", 2, *PLAIN[:2], *PLAIN[6:])
    named = (*DATA, *own)
    for number, name in enumerate(("dataset", "loss", "metric")):
        done = run_own(*rounds, *named[: 2 * number], "--save", "p")
        value = named[2 * number + 1]
        asked = f"a/model_best.pth.tar was trained with {name} {value}: type --{name} {value}\n"
        assert (done.code, done.err) == (2, f"netslim: error: {asked}")
    done = run_own(*rounds, *named, "--save", "p")
    assert done.code == 0, done.err
    assert "test error_rate" in done.out
    assert recorded("p/round1/trained")["config"]["loss"] == "mine.py:loss"


def test_own_networks_and_registered_ones_are_measured_side_by_side(run_own: Run) -> None:
    assert run_own(*TRAIN, "--epochs", 1, "--save", "a").code == 0
    netslim.save("registered.pth.tar", netslim.create_model("resnet", depth=11, num_classes=3, in_channels=1))
    short = ("--seconds", 0.02, "--batch-sizes", 1, "--engines", "eager", "--no-memory")
    done = run_own("bench", "a/model_best.pth.tar", "registered.pth.tar", *NET, *short)
    assert done.code == 0, done.err


def test_a_penalty_by_macs_and_a_teacher_of_own_code(run_own: Run) -> None:
    assert run_own(*TRAIN, "--epochs", 1, "--save", "a").code == 0
    sparse = ("-sr", "--penalty", "proximal", "--penalty-weights", "macs", "--teacher", "a/model_best.pth.tar")
    done = run_own(*TRAIN, *sparse, "--accumulate", 2, "--save", "b")
    assert done.code == 0, done.err
