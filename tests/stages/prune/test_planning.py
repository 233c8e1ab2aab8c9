"""From settings to a plan."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import netslim
from netslim.core.errors import NetslimError, UsageError
from netslim.network import load
from netslim.pruning import plan, plan_from_dict
from netslim.stages.prune import run as prune
from netslim.stages.prune.config import PruneConfig
from netslim.stages.prune.planning import check_budget, proven, recorded, say_plan
from pruning.kinds import Net, lively

BEST = "model_best.pth.tar"


def run(model: Path, save: Path, **given: Any) -> dict[str, Any]:
    return prune.run(PruneConfig(model=model, save=save, device="cpu", **given))


@pytest.mark.parametrize("percent", [-0.1, 1.0, 1.5, 40.0])
def test_an_impossible_percent_is_said_before_anything_is_opened(tmp_path: Path, percent: float) -> None:
    with pytest.raises(UsageError, match=r"^`percent="):
        run(tmp_path / "missing.pth.tar", tmp_path / "run", percent=percent)
    assert not (tmp_path / "run").exists()


def test_layers_held_at_their_least_width_are_named(
    trained: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = run(trained / BEST, tmp_path / "run", data_dir=folder, percent=0.95, min_channels=8)
    assert result["clamped"]
    assert min(load(tmp_path / "run/pruned.pth.tar").cfg) >= 8
    assert f"held at `min_channels=8`: {', '.join(result['clamped'])}" in capsys.readouterr().out


def test_layers_held_at_a_multiple_are_said_to_be_so(
    trained: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = run(trained / BEST, tmp_path / "run", data_dir=folder, percent=0.8, round_to=8)
    left = {
        group["name"]: len(group["keep"]) for group in json.loads((tmp_path / "run/plan.json").read_text())["groups"]
    }
    assert {left[name] for name in result["clamped"]} == {8}
    assert f"held at 8 channels (`round_to=8`): {', '.join(result['clamped'])}" in capsys.readouterr().out


def test_shares_say_what_they_are_of(capsys: pytest.CaptureFixture[str]) -> None:
    example = torch.zeros(1, 3, 32, 32)
    model = netslim.create_model("vgg", depth=11, num_classes=10)
    once = netslim.apply(model, plan(model, example, percent=0.25, criterion="l1_norm"))
    for network, budget, whole in (
        (model, {"percent": 0.5}, "the unpruned network"),
        (once, {"percent": 0.5}, "before this pruning"),
        (once, {"target_macs": 0.25}, "the unpruned network"),
    ):
        say_plan(plan(network, example, criterion="l1_norm", **budget))
        assert f" % of {whole})" in capsys.readouterr().out


def test_a_residual_stream_is_shown_with_the_layers_that_write_it(capsys: pytest.CaptureFixture[str]) -> None:
    model = netslim.create_model("resnet", depth=11, num_classes=10)
    decided = plan(model, torch.zeros(1, 3, 32, 32), percent=0.5, criterion="l1_norm", residual="couple")
    name, writers = next(iter(recorded(decided)["streams"].items()))
    say_plan(decided)
    assert f"{name} (stream of {', '.join(writers)})" in capsys.readouterr().out


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
    found = plan_from_dict(json.loads((tmp_path / "run/plan.json").read_text()))
    assert (found.round_to, found.criterion) == (4, "taylor")
    assert all(len(group.keep) in (group.total, *range(4, group.total, 4)) for group in found.groups)


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


@pytest.mark.parametrize("setting", [{"round_to": 0}, {"min_channels": -1}, {"latency_batch": 0}])
def test_numbers_that_are_no_widths(tmp_path: Path, setting: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="input should be greater than or equal to"):
        PruneConfig.build({"model": tmp_path / "x.pth.tar", **setting})


def test_an_allocation_by_sensitivity(trained: Path, folder: Path, tmp_path: Path) -> None:
    given: dict[str, Any] = {"target_macs": "0.5", "criterion": "l2_norm"}
    result = run(trained / BEST, tmp_path / "run", data_dir=folder, recalibrate=0, allocation="sensitivity", **given)
    assert result["macs"] == pytest.approx(0.5 * result["macs_before"], rel=0.01)
    found = plan_from_dict(json.loads((tmp_path / "run/plan.json").read_text()))
    by_scores = plan(load(trained / BEST), torch.zeros(1, 1, 8, 8), **given)
    assert [len(part.keep) for part in found.groups] != [len(part.keep) for part in by_scores.groups]


@pytest.mark.parametrize("given", [{"allocation": "best"}, {"allocation": "sensitivity", "per_layer": True}])
def test_an_allocation_that_is_none_is_said_before_anything_is_opened(tmp_path: Path, given: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="allocation="):
        run(tmp_path / "missing.pth.tar", tmp_path / "run", **given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"latency_batch": 4}, "`latency_batch=4`: it is the batch of a latency; type `target_latency=0.5` with it"),
        ({"threads": 2}, "`threads=2`: this is of an engine; type `engine='onnxruntime'` with it"),
        ({"engine": "eager"}, "`engine='eager'` is for a latency; type `target_latency=0.5` with it"),
        (
            {"engine": "eager", "target_latency": 0.5, "batch_size": 8},
            "`batch_size=8`: the batch of a latency is `latency_batch`; type that",
        ),
    ],
)
def test_what_an_engine_needs(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_budget(PruneConfig.build({"model": "net.pth.tar", **given}))
    assert str(caught.value) == said


def test_a_network_that_gives_no_finite_number_is_not_proven() -> None:
    model = lively(Net())
    decided = netslim.plan(model, torch.zeros(2, 3, 12, 12), percent=0.4)
    model.fc.bias.data.fill_(torch.nan)
    with pytest.raises(
        NetslimError, match=r"^the network gives no finite number, so that nothing can be compared; nothing"
    ):
        proven(model, decided, torch.zeros(2, 3, 12, 12))
