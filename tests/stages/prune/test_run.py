"""`netslim prune` on a network that was trained for a second."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from netslim.core.checkpoint import read_checkpoint
from netslim.core.errors import CheckpointError, DataError, UsageError
from netslim.models import create_model
from netslim.network import load, save
from netslim.pruning import plan_from_dict
from netslim.reconstruction import live_memory
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
        "report.html",
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
    assert re.search(r"test top-1 [\d.]+ % before this pruning, [\d.]+ % masked, ", out)
    assert f"channels   688 -> {result['kept']} (" in out
    assert f"parameters 124,402 -> {result['params']:,} (" in out
    assert "masked, " in out
    files = ("pruned.pth.tar", "plan.json", "prune.txt", "report.html")
    assert out.endswith(f"wrote {', '.join(str(save / name) for name in files)}\n")
    assert run(trained / BEST, save, data_dir=folder, percent=0.5) == result
    assert capsys.readouterr().out.endswith("; nothing to do\n")
    with pytest.raises(UsageError, match=r"holds another run \(percent: 0\.5 there, 0\.6 now\)"):
        run(trained / BEST, save, data_dir=folder, percent=0.6)


def test_a_pruned_network_can_be_pruned_again(pruned: Path, folder: Path, tmp_path: Path) -> None:
    first = load(pruned / "pruned.pth.tar")
    run(pruned / "pruned.pth.tar", tmp_path / "run", data_dir=folder, percent=0.3)
    second = load(tmp_path / "run/pruned.pth.tar")
    assert first.plan is not None
    assert second.plan is not None
    assert second.plan.total == first.plan.total == 688
    assert second.plan.kept < first.plan.kept


def test_a_budget_that_cannot_be_met_leaves_the_folder_free(trained: Path, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"the least that can be reached is .* type `target_macs=\d+`$"):
        run(trained / BEST, tmp_path / "run", data_dir=folder, target_macs="0.001", recalibrate=0)
    assert not (tmp_path / "run/plan.json").exists()
    assert run(trained / BEST, tmp_path / "run", data_dir=folder, target_macs="0.6", recalibrate=0)["macs"]


def test_layers_that_are_left_are_fitted_on_training_images(trained: Path, folder: Path, tmp_path: Path) -> None:
    given: dict[str, Any] = {"data_dir": folder, "percent": 0.4}
    result = run(trained / BEST, tmp_path / "fitted", **given, reconstruct=7)
    plain = run(trained / BEST, tmp_path / "plain", **given, recalibrate=0)
    assert result["reconstructed"]["images"] == 7
    assert result["reconstructed"]["after"] <= result["reconstructed"]["before"]
    assert result["recalibrated_on"] == plain["recalibrated_on"] == 0
    assert result["top1_masked"] == plain["top1_masked"]
    weights = [load(tmp_path / name / "pruned.pth.tar").state_dict()["fc.weight"] for name in ("fitted", "plain")]
    assert not torch.equal(*weights)


def test_layers_are_fitted_by_default_where_nothing_is_said_of_statistics(
    trained: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given: dict[str, Any] = {"data_dir": folder, "percent": 0.4}
    result = run(trained / BEST, tmp_path / "default", **given)
    assert result["reconstructed"]["images"] == 26  # all that there are; of more it would be 512
    assert " layers fitted on 26 images" in (out := capsys.readouterr().out)
    assert "absorbed and reconstructed (no fine-tuning yet)" in out
    again = run(trained / BEST, tmp_path / "asked", **given, reconstruct=512)
    assert again["reconstructed"] == result["reconstructed"]
    for number, other in enumerate(({"recalibrate": 1}, {"recalibrate": 0}, {"reconstruct": 0})):
        plain = run(trained / BEST, tmp_path / f"plain{number}", **given, **other)
        assert "reconstructed" not in plain
        assert plain["recalibrated_on"] == (0 if other == {"recalibrate": 0} else 26)


def test_where_layers_can_not_be_fitted_by_default_statistics_are_measured(
    trained: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {"data_dir": folder, "percent": 0.4}
    plain = run(trained / BEST, tmp_path / "plain", **given, reconstruct=0)
    monkeypatch.setattr(live_memory, "available_memory", lambda: 1000)
    result = run(trained / BEST, tmp_path / "run", **given)
    assert "layers are not fitted, BatchNorm statistics are measured instead: what both networks make of one image" in (
        capsys.readouterr().out
    )
    assert (result["recalibrated_on"], result["top1"]) == (26, plain["top1"])
    assert result["absorbed"] == plain["absorbed"]
    with pytest.raises(DataError, match="what both networks make of one image takes up to"):
        run(trained / BEST, tmp_path / "asked", **given, reconstruct=512)


def test_images_to_fit_layers_on_have_to_be_there_and_enough(trained: Path, folder: Path, tmp_path: Path) -> None:
    save(tmp_path / "net.pth.tar", create_model("resnet", depth=11, num_classes=2, in_channels=1))
    with pytest.raises(UsageError, match="`reconstruct=9` needs training images; type `dataset=NAME`"):
        run(tmp_path / "net.pth.tar", tmp_path / "run", reconstruct=9)
    with pytest.raises(UsageError, match="`recalibrate=2` and `reconstruct=9`: one of the two"):
        run(trained / BEST, tmp_path / "run", data_dir=folder, recalibrate=2, reconstruct=9)
    with pytest.raises(DataError, match="2 images are too few to fit layers to: give at least 4, better hundreds"):
        run(trained / BEST, tmp_path / "run", data_dir=folder, reconstruct=2)
