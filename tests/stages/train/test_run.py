"""`netslim train`: a phase from its settings to its files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from netslim.core.checkpoint import read_checkpoint
from netslim.network import load

Train = Callable[..., dict[str, Any]]


CHECKPOINT, BEST = "checkpoint.pth.tar", "model_best.pth.tar"


def metrics(save: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (save / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k not in ("seconds", "images_per_second", "waiting")} for row in rows]


def state(path: Path) -> dict[str, torch.Tensor]:
    return read_checkpoint(path).state_dict


def same(one: Path, other: Path) -> bool:
    first, second = state(one), state(other)
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_a_run_leaves_its_record(run_train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = run_train(save=tmp_path / "run")
    record = json.loads((tmp_path / "run/run.json").read_text())
    assert record["status"] == "finished"
    assert record["result"] == result
    assert sorted(p.name for p in (tmp_path / "run").iterdir() if not p.name.startswith(".")) == [
        CHECKPOINT,
        "metrics.jsonl",
        BEST,
        "report.html",
        "run.json",
    ]
    assert [row["epoch"] for row in metrics(tmp_path / "run")] == [0, 1]
    out = capsys.readouterr().out.splitlines()
    assert out[0] == (
        "training resnet (depth 11, 124.40k parameters) on folder: 23 images, val set of 3 chooses the model; "
        "fp32, channels-last on cpu"
    )
    assert out[-1].startswith("finished: best val top-1 ")


def test_the_same_seed_gives_the_same_bits_and_another_one_does_not(run_train: Train, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run_train(save=tmp_path / name, seed=seed, epochs=1)
    assert same(tmp_path / "a" / CHECKPOINT, tmp_path / "b" / CHECKPOINT)
    assert metrics(tmp_path / "a") == metrics(tmp_path / "b")
    assert not same(tmp_path / "a" / CHECKPOINT, tmp_path / "c" / CHECKPOINT)


def test_a_file_starts_a_new_phase(run_train: Train, trained: Path, tmp_path: Path) -> None:
    """All of this command's epochs at this command's rate: the file's epoch, rate and momentum do not matter."""
    run_train(save=tmp_path / "next", resume=trained / BEST, epochs=3, lr=1e-12)
    rows = metrics(tmp_path / "next")
    assert [row["epoch"] for row in rows] == [0, 1, 2]
    assert [row["lr"] for row in rows] == pytest.approx([1e-12, 1e-12 * 0.1, 1e-12 * 0.01])
    start, end = state(trained / BEST), state(tmp_path / "next" / CHECKPOINT)
    assert all(torch.allclose(start[k], end[k]) for k in start if k.endswith("weight"))


def test_a_resumed_phase_is_the_same_from_a_file_without_optimizer(
    run_train: Train, trained: Path, tmp_path: Path
) -> None:
    bare = tmp_path / "bare.pth.tar"
    torch.save({"state_dict": state(trained / BEST), "epoch": 17, "best_prec1": 0.99}, bare)
    run_train(save=tmp_path / "a", resume=trained / BEST, epochs=1)
    run_train(save=tmp_path / "b", resume=bare, epochs=1)
    assert same(tmp_path / "a" / CHECKPOINT, tmp_path / "b" / CHECKPOINT)
    assert read_checkpoint(tmp_path / "b" / CHECKPOINT).epoch == 1


def test_a_run_that_was_cut_off_before_it_was_recorded_is_finished_without_training(
    run_train: Train, tmp_path: Path
) -> None:
    save = tmp_path / "run"
    first = run_train(save=save)
    record = json.loads((save / "run.json").read_text())
    del record["result"]
    (save / "run.json").write_text(json.dumps({**record, "status": "running"}))
    before = snapshot(save)
    assert run_train(save=save) == first
    after = snapshot(save)
    assert after[CHECKPOINT] == before[CHECKPOINT]
    assert after["metrics.jsonl"][0] == before["metrics.jsonl"][0]


def test_refine_keeps_the_pruned_shape_and_reopens_itself(run_train: Train, pruned: Path, tmp_path: Path) -> None:
    run_train(save=tmp_path / "a", refine=pruned / "pruned.pth.tar", epochs=1)
    fine = load(tmp_path / "a" / BEST)
    assert fine.cfg == load(pruned / "pruned.pth.tar").cfg
    assert fine.plan is not None
    run_train(save=tmp_path / "b", refine=tmp_path / "a" / BEST, epochs=1)
    assert load(tmp_path / "b" / BEST).cfg == fine.cfg


def test_without_depth_the_files_is_taken(run_train: Train, trained: Path, tmp_path: Path) -> None:
    run_train(save=tmp_path / "run", resume=trained / BEST, depth=None, epochs=1)
    assert load(tmp_path / "run" / BEST).arch.arguments["depth"] == 11


def test_start_epoch_is_where_the_schedule_begins(run_train: Train, tmp_path: Path) -> None:
    run_train(save=tmp_path / "run", epochs=4, start_epoch=3)
    assert [(row["epoch"], row["lr"]) for row in metrics(tmp_path / "run")] == [(3, pytest.approx(0.05 * 0.01))]


@pytest.mark.parametrize("split", ["val", "test"])
def test_what_chose_the_model_is_written_everywhere(
    run_train: Train, tmp_path: Path, split: str, capsys: pytest.CaptureFixture[str]
) -> None:
    result = run_train(save=tmp_path / "run", select_on=split, epochs=1)
    assert result["selected_on"] == split
    assert [row["selected_on"] for row in metrics(tmp_path / "run")] == [split]
    assert read_checkpoint(tmp_path / "run" / BEST).training["selected_on"] == split
    out = capsys.readouterr().out
    assert f"{split} set of {3 if split == 'val' else 8} chooses the model" in out
    assert f"best {split} top-1" in out
    assert ("chosen on the test set" in out) == (split == "test")
    assert ("test top-1" in out.splitlines()[-1].split(";")[0].removeprefix("finished: best test top-1")) == (
        split == "val"
    )


@pytest.mark.parametrize(
    ("settings", "chosen_by"),
    [
        ({"sparsity_regularization": True}, "loss + penalty"),
        ({"sparsity_regularization": True, "select_on": "test"}, "top-1"),
        ({}, "top-1"),
    ],
)
def test_the_penalty_counts_in_the_choice_on_held_out_images(
    run_train: Train, tmp_path: Path, settings: dict[str, Any], chosen_by: str, capsys: pytest.CaptureFixture[str]
) -> None:
    result = run_train(save=tmp_path / "run", s=0.01, **settings)
    checkpoint = read_checkpoint(tmp_path / "run" / BEST)
    assert result["chosen_by"] == checkpoint.training["chosen_by"] == chosen_by
    assert ("(lowest loss + penalty)" in capsys.readouterr().out) == (chosen_by == "loss + penalty")
    rows = metrics(tmp_path / "run")
    objectives = [row["eval_loss"] + row["penalty"] for row in rows]
    errors = [1 - row["top1"] for row in rows]
    keys: list[Any] = objectives if chosen_by == "loss + penalty" else [*zip(errors, objectives, strict=True)]
    keys = errors if settings.get("select_on") == "test" else keys
    assert result["best_epoch"] == keys.index(min(keys)) + 1


def test_the_files_have_the_originals_keys(trained: Path) -> None:
    for name in (CHECKPOINT, BEST):
        data = torch.load(trained / name, weights_only=True)
        assert data.keys() == {"epoch", "state_dict", "best_prec1", "optimizer", "netslim"}
        assert data["epoch"] in (1, 2)
        assert 0 <= data["best_prec1"] <= 1
        assert "layer1.0.select.indexes" in data["state_dict"]
        assert data["state_dict"]["layer1.0.select.indexes"].dtype == torch.float32


def test_the_original_scripts_can_load_both_files(trained: Path) -> None:
    """`optimizer.load_state_dict(checkpoint['optimizer'])` over everything that is a parameter there."""
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    for name in (CHECKPOINT, BEST):
        data = torch.load(trained / name, weights_only=True)
        weights = [v for k, v in data["state_dict"].items() if not k.endswith(statistics)]
        optimizer = torch.optim.SGD([torch.nn.Parameter(w) for w in weights], lr=9.0, momentum=0.9)
        optimizer.load_state_dict(data["optimizer"])
        assert bool(data["optimizer"]["state"]) == (name == CHECKPOINT)
        for weight, number in zip(optimizer.param_groups[0]["params"], range(len(weights)), strict=True):
            buffer = data["optimizer"]["state"].get(number, {}).get("momentum_buffer")
            assert buffer is None or buffer.shape == weight.shape


def test_the_best_model_is_the_one_of_the_best_epoch(run_train: Train, tmp_path: Path) -> None:
    result = run_train(save=tmp_path / "run", epochs=3, select_on="test")
    best = read_checkpoint(tmp_path / "run" / BEST)
    rows = metrics(tmp_path / "run")
    assert result["best_top1"] == max(row["top1"] for row in rows) == best.best_prec1
    assert rows[result["best_epoch"] - 1]["top1"] == result["best_top1"]
    assert best.epoch == result["best_epoch"]


@pytest.mark.parametrize("precision", ["auto", "bf16", "fp16"])
def test_other_precisions_train_and_are_recorded(run_train: Train, tmp_path: Path, precision: str) -> None:
    result = run_train(save=tmp_path / "run", precision=precision, epochs=1)
    assert precision == "auto" or result["precision"].startswith(precision)
    assert read_checkpoint(tmp_path / "run" / BEST).training["precision"] == result["precision"]
    assert all(v.dtype in (torch.float32, torch.int64) for v in state(tmp_path / "run" / BEST).values())
