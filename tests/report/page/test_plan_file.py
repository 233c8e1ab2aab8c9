"""Layers by stage and block, and what stayed."""

import pytest
from page_runs import PLAN

from netslim.core.schemas import as_model
from netslim.report.page.plan_file import PlanFile, floor_shown, reasons_of, stages_of


def plan(*names: str, **parts: object) -> PlanFile:
    groups = [{"name": name, "total": 4, "keep": [0]} for name in names]
    return as_model(PlanFile, {**PLAN, "groups": groups, **parts})


@pytest.mark.parametrize(
    ("name", "stage", "block", "label"),
    [
        ("layer2.0.bn1", "layer2", "0", "bn1"),
        ("blocks.3.1.bn2", "blocks.3", "1", "bn2"),
        ("features.denseblock1.denselayer2.norm1", "features.denseblock1", "denselayer2", "norm1"),
        ("feature.7", "feature", "7", ""),
        ("stem.bn", "stem", "", "bn"),
        ("bn", "", "bn", ""),
        ("0", "", "0", ""),
    ],
)
def test_a_layers_place_is_in_its_name(name: str, stage: str, block: str, label: str) -> None:
    (found,) = stages_of(plan(name))
    assert (found.name, found.blocks[0].name, found.blocks[0].layers[0].label) == (stage, block, label)


def test_stages_and_blocks_keep_their_order_and_add_up() -> None:
    first, last = stages_of(as_model(PlanFile, PLAN))
    assert [block.name for block in first.blocks] == ["0"]
    assert (first.total, first.kept, first.widest) == (8, 6, 4)
    assert (last.name, last.total, last.kept) == ("", 8, 1)


def test_a_stream_stands_once_after_the_blocks_of_its_stage() -> None:
    writers = ["conv1", "layer1.0.conv3", "layer1.0.downsample.0", "layer1.1.conv3"]
    names = ("layer1.0.bn1", "layer2.0.bn1", "layer1.0.bn2", "layer2.0.bn2")
    first, second = stages_of(plan(*names, streams={"layer2.0.bn1": writers}))
    assert [(block.name, [layer.name for layer in block.layers]) for block in first.blocks] == [
        ("0", ["layer1.0.bn1", "layer1.0.bn2"]),
        ("stream", ["layer2.0.bn1"]),
    ]
    assert (second.name, second.total) == ("layer2", 4)
    assert [stage.total for stage in stages_of(plan(*names))] == [8, 8]
    (alone,) = stages_of(plan("bn", streams={"bn": ["a", "b"]}))
    assert (alone.name, alone.blocks[0].name) == ("", "stream")


def test_what_stayed_has_a_reason_each() -> None:
    left = [{"name": name, "channels": 3, "reason": "its input is fixed"} for name in ("a", "b")]
    found = reasons_of(as_model(PlanFile, {**PLAN, "left_alone": left, "unrounded": ["x"], "round_to": 8}))
    assert [(reason.text, reason.layers, reason.channels) for reason in found] == [
        ("Held at the floor of 1 channel", ("bn",), None),
        ("Whole, at a width that is no multiple of 8", ("x",), None),
        ("All channels rank above the cut (bn_scale)", ("layer1.0.bn2",), None),
        ("Never removed: its input is fixed", ("a", "b"), 6),
    ]


@pytest.mark.parametrize(
    ("left", "min_channels", "shown"),
    [
        ([1, 1], 1, "1 channel"),
        ([8, 8], 1, "8 channels"),
        ([6, 8], 1, "6 to 8 channels"),
        ([4, 8], 8, "8 channels"),
        ([1], 0, "1 channel"),
    ],
)
def test_a_floor_is_the_least_that_was_left(left: list[int], min_channels: int, shown: str) -> None:
    assert floor_shown(left, min_channels) == shown


def test_layers_whose_widths_are_rounded_have_the_floor_of_that() -> None:
    groups = [{"name": "bn", "total": 16, "keep": [*range(8)]}]
    first = reasons_of(as_model(PlanFile, {**PLAN, "groups": groups, "round_to": 8}))[0]
    assert (first.text, first.layers) == ("Held at the floor of 8 channels", ("bn",))
