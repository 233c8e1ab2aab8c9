import json
from pathlib import Path
from typing import Any

import pytest
import torch

from netslim.core.checkpoint import read_checkpoint
from netslim.core.errors import CheckpointError, UsageError
from netslim.models import create_model
from netslim.network import load
from netslim.pruning import plan_from_dict
from netslim.stages.prune import run as prune
from netslim.stages.prune.config import PruneConfig

BEST = "model_best.pth.tar"


def run(model: Path, save: Path, **given: Any) -> dict[str, Any]:
    return prune.run(PruneConfig(model=model, save=save, device="cpu", **given))


def original_file(path: Path, model: torch.nn.Module) -> Path:
    """As the original scripts write it: nothing but these keys."""
    torch.save({"epoch": 3, "state_dict": model.state_dict(), "best_prec1": torch.tensor(0.5), "optimizer": {}}, path)
    return path


def test_files(pruned: Path, trained: Path) -> None:
    assert sorted(p.name for p in pruned.iterdir() if not p.name.startswith(".")) == [
        "plan.json",
        "prune.txt",
        "pruned.pth.tar",
        "run.json",
    ]
    result = json.loads((pruned / "run.json").read_text())["result"]
    data = torch.load(pruned / "pruned.pth.tar", weights_only=True)
    assert {"cfg", "state_dict"} <= data.keys()
    assert "optimizer" not in data
    small = load(pruned / "pruned.pth.tar")
    assert data["cfg"] == small.cfg
    assert read_checkpoint(pruned / "pruned.pth.tar").dataset == read_checkpoint(trained / BEST).dataset
    assert result["params"] == sum(p.numel() for p in small.parameters()) < result["params_before"]
    assert result["channels"] - result["kept"] == int(0.4 * result["channels"]) + 1
    assert result["max_difference"] < 1e-4


def test_prune_txt_is_the_originals(pruned: Path) -> None:
    lines = (pruned / "prune.txt").read_text().splitlines()
    result = json.loads((pruned / "run.json").read_text())["result"]
    assert lines == [
        "Configuration: ",
        str(load(pruned / "pruned.pth.tar").cfg),
        "Number of parameters: ",
        str(result["params"]),
        "Test accuracy: ",
        str(result["top1_masked"]),
    ]


def test_the_plan_can_be_read_and_is_the_networks(pruned: Path) -> None:
    plan = plan_from_dict(json.loads((pruned / "plan.json").read_text()))
    assert plan == load(pruned / "pruned.pth.tar").plan
    assert plan.percent == 0.4


def test_percent_zero_removes_nothing(trained: Path, folder: Path, tmp_path: Path) -> None:
    result = run(trained / BEST, tmp_path / "run", data_dir=folder, percent=0.0)
    assert result["kept"] == result["channels"]
    assert result["params"] == result["params_before"]
    assert result["top1"] == result["top1_masked"] == result["top1_before"]
    images = torch.randn(3, 1, 8, 8)
    assert torch.equal(load(trained / BEST)(images), load(tmp_path / "run/pruned.pth.tar")(images))


@pytest.mark.parametrize("percent", [-0.1, 1.0, 1.5, 40.0])
def test_an_impossible_percent_is_said_before_anything_is_opened(tmp_path: Path, percent: float) -> None:
    with pytest.raises(UsageError, match=r"^`percent="):
        run(tmp_path / "missing.pth.tar", tmp_path / "run", percent=percent)
    assert not (tmp_path / "run").exists()


def test_another_depth(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as error:
        run(trained / BEST, tmp_path / "run", depth=164)
    assert str(error.value) == f"{trained / BEST} holds a resnet of depth 11, not 164; type `depth=11`"


def test_a_missing_file_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as error:
        run(tmp_path / "missing.pth.tar", tmp_path / "run")
    assert str(error.value) == f"no such checkpoint file: {tmp_path / 'missing.pth.tar'}"
    assert not (tmp_path / "run").exists()


def test_an_original_file_without_data_set_is_pruned_without_accuracies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = original_file(tmp_path / "original.pth.tar", create_model("resnet", depth=11, num_classes=10))
    result = run(source, tmp_path / "run", percent=0.3)
    assert "top1" not in result
    assert f"{source} names no data set: pruning without accuracies (type `dataset=NAME` for them)" in (
        capsys.readouterr().out
    )
    assert "Test accuracy" not in (tmp_path / "run/prune.txt").read_text()
    assert load(tmp_path / "run/pruned.pth.tar").plan is not None


def test_an_original_file_with_a_data_set_of_other_classes(folder: Path, tmp_path: Path) -> None:
    source = original_file(tmp_path / "original.pth.tar", create_model("resnet", depth=11, num_classes=10))
    with pytest.raises(CheckpointError) as error:
        run(source, tmp_path / "run", dataset="folder", data_dir=folder)
    assert str(error.value) == f"{source} holds a resnet with num_classes 10; the data set folder has 2"


def test_what_is_printed(trained: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save = tmp_path / "run"
    result = run(trained / BEST, save, data_dir=folder, percent=0.5)
    out = capsys.readouterr().out
    assert f"channels   688 -> {result['kept']} (" in out
    assert f"parameters 124,402 -> {result['params']:,} (" in out
    assert "masked, " in out
    assert out.endswith(f"wrote {save / 'pruned.pth.tar'}, {save / 'plan.json'}, {save / 'prune.txt'}\n")
    assert run(trained / BEST, save, data_dir=folder, percent=0.5) == result
    assert capsys.readouterr().out.endswith("; nothing to do\n")
    with pytest.raises(UsageError, match=r"holds another run \(percent: 0\.5 there, 0\.6 now\)"):
        run(trained / BEST, save, data_dir=folder, percent=0.6)


def test_layers_held_at_their_least_width_are_named(
    trained: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = run(trained / BEST, tmp_path / "run", data_dir=folder, percent=0.95, min_channels=8)
    assert result["clamped"]
    assert min(load(tmp_path / "run/pruned.pth.tar").cfg) >= 8
    assert f"held at `min_channels=8`: {', '.join(result['clamped'])}" in capsys.readouterr().out


def test_a_pruned_network_can_be_pruned_again(pruned: Path, folder: Path, tmp_path: Path) -> None:
    first = load(pruned / "pruned.pth.tar")
    run(pruned / "pruned.pth.tar", tmp_path / "run", data_dir=folder, percent=0.3)
    second = load(tmp_path / "run/pruned.pth.tar")
    assert first.plan is not None
    assert second.plan is not None
    assert second.plan.total == first.plan.total == 688
    assert second.plan.kept < first.plan.kept


def test_a_target_instead_of_a_percentage(
    trained: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given: dict[str, Any] = {"target_macs": "0.5", "round_to": 4, "only": "layer2, layer3", "criterion": "taylor"}
    result = run(trained / BEST, tmp_path / "run", data_dir=folder, recalibrate=0, **given)
    assert result["macs"] == pytest.approx(0.5 * result["macs_before"], rel=0.01)
    assert result["budget"]["reached"] == result["macs"]
    out = capsys.readouterr().out
    assert f"budget     `target_macs=0.5`: {round(0.5 * result['macs_before']):,} asked for, " in out
    assert "left alone: layer1.0.bn1 (is not in `only`), " in out
    plan = plan_from_dict(json.loads((tmp_path / "run/plan.json").read_text()))
    assert (plan.round_to, plan.criterion) == (4, "taylor")
    assert all(len(group.keep) in (group.total, *range(4, group.total, 4)) for group in plan.groups)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"percent": 0.3, "target_macs": "0.5"}, "`percent=0.3`, `target_macs=0.5`: a plan has one budget"),
        ({"target_macs": "12Q"}, "`target_macs='12Q'`: what should remain, as a share"),
        ({"target_latency": "3"}, "`target_latency=3`: what should remain, as a share"),
    ],
)
def test_budgets_that_are_none_are_said_before_anything_is_opened(
    tmp_path: Path, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError) as error:
        run(tmp_path / "missing.pth.tar", tmp_path / "run", **given)
    assert str(error.value).startswith(message)
    assert not (tmp_path / "run").exists()


def test_a_budget_that_cannot_be_met_leaves_the_folder_free(trained: Path, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"the least that can be reached is .* type `target_macs=\d+`$"):
        run(trained / BEST, tmp_path / "run", data_dir=folder, target_macs="0.001", recalibrate=0)
    assert not (tmp_path / "run/plan.json").exists()
    assert run(trained / BEST, tmp_path / "run", data_dir=folder, target_macs="0.6", recalibrate=0)["macs"]


@pytest.mark.parametrize("setting", [{"round_to": 0}, {"min_channels": -1}, {"latency_batch": 0}])
def test_numbers_that_are_no_widths(tmp_path: Path, setting: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="input should be greater than or equal to"):
        PruneConfig.build({"model": tmp_path / "x.pth.tar", **setting})
