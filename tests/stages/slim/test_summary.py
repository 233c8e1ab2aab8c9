"""Means over seeds, and what a network is judged by."""

from pathlib import Path

import pytest

from netslim.stages.slim.config import SlimConfig
from netslim.stages.slim.planning import planned_recipe
from netslim.stages.slim.settings import planned
from netslim.stages.slim.summary import judged, means, show_steps, task_of_steps
from netslim.stages.slim.variants import Variant


def row(seed: int, share: float, top1: float) -> dict[str, object]:
    facts = {"images": 100, "params": 10, "macs": 1000, "file": "x"}
    found: dict[str, object] = {"seed": seed, "prune.percent": share}
    for name, value in (("dense", 0.9), ("small", top1)):
        found |= {f"{name}_top1": value, **{f"{name}_{key}": fact for key, fact in facts.items()}}
    return found


def test_one_line_per_value_with_mean_and_deviation() -> None:
    columns, cells = means([row(1, 0.3, 0.8), row(2, 0.3, 0.9), row(1, 0.5, 0.7)])
    assert columns[:4] == ["prune.percent", "seeds", "dense test top-1 (%)", "small test top-1 (%)"]
    assert cells[0][:4] == ["0.3", "2", "90.00 ± 0.00", "85.00 ± 7.07"]
    assert cells[1][:4] == ["0.5", "1", "90.00", "70.00"]
    assert cells[0][4:] == ["10", "10", "1.00k", "1.00k"]
    assert columns[4:] == ["dense params", "small params", "dense MACs", "small MACs"]


def test_what_a_network_got() -> None:
    assert judged({"top1": 0.9722, "images": 360}) == "97.22 %"
    assert judged({"metric_name": "mean_iou", "metric": 0.51234, "images": 1000}) == "mean_iou 0.5123"
    shown = {"label": "mIoU", "test": "51.23 %"}
    assert judged({"metric_name": "mean_iou", "metric": 0.51234, "shown": shown, "images": 9}) == "mIoU 51.23 %"


def test_a_metric_is_compared_too(capsys: pytest.CaptureFixture[str]) -> None:
    rest = {"images": 32, "params": 10, "macs": 100, "file": "x"}
    dense, small = ({"metric_name": "m", "metric": value, **rest} for value in (0.25, 0.75))
    show_steps(Variant(values={}, folder=Path("x"), steps=[]), {}, dense, small)
    out = capsys.readouterr().out
    assert "test (32)" in out
    assert out.count("small / dense") == 1
    assert "+0.5 " in out


def test_page_and_evaluation_are_told_of_code_of_ones_own() -> None:
    given = {"arch": "mine.py:net", "dataset": "mine.py:data", "loss": "mse", "metric": "mean_absolute_error"}
    recipe = planned_recipe(SlimConfig.build(given))
    steps = planned(recipe, {step.name: Path(step.name) for step in recipe.steps})
    assert task_of_steps(steps) == given


@pytest.mark.parametrize(("start", "said"), [({}, True), ({"checkpoint": "net.pth.tar"}, False)])
def test_a_dense_network_that_was_hardly_trained_is_said_to_be_so(
    start: dict[str, str], said: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = planned_recipe(SlimConfig.build({"dataset": "digits", **start}))
    steps = planned(recipe, {step.name: Path(step.name) for step in recipe.steps})
    facts = {"top1": 0.5, "images": 360, "params": 10, "macs": 100, "file": "x"}
    show_steps(Variant(values={}, folder=Path("x"), steps=steps), {}, facts, facts)
    assert ("the dense network was trained for 5 of these 100 epochs" in capsys.readouterr().out) is said
