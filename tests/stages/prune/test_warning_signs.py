"""Each warning sign on a plan that is made by hand, and none on a sound one."""

import warnings
from collections.abc import Mapping

import pytest

from netslim.core.errors import NetslimWarning
from netslim.core.protocols import Cost, GroupPlan, PrunePlan
from netslim.pruning import Agreement
from netslim.stages.prune.warning_signs import WIDE, warn_of

SOUND = {"top1_before": 0.9, "top1": 0.8}


def plan_of(*widths: tuple[int, int], min_channels: int = 1) -> PrunePlan:
    """Groups a, b, ... of which so many of so many channels are left."""
    groups = tuple(
        GroupPlan(name="abcdefgh"[number], total=total, keep=tuple(range(kept)))
        for number, (kept, total) in enumerate(widths)
    )
    cost = Cost(params=1, macs=1)
    return PrunePlan(
        arch=None,
        groups=groups,
        percent=0.5,
        criterion="bn_scale",
        min_channels=min_channels,
        clamped=(),
        before=cost,
        after=cost,
        input_shape=(1, 1, 8, 8),
    )


def texts(
    plan: PrunePlan, accuracy: Mapping[str, float] = SOUND, classes: int | None = 10, depends: bool = True
) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of(plan, Agreement(outputs=(), depends_on_input=depends), accuracy, classes)
    assert all(entry.category is NetslimWarning for entry in caught)
    return [str(entry.message) for entry in caught]


def test_a_sound_pruning_and_a_narrow_layer_are_no_signs() -> None:
    assert texts(plan_of((2, WIDE), (1, WIDE - 1), (0, WIDE))) == []
    assert texts(plan_of((2, WIDE)), accuracy={}) == []


def test_layers_with_nothing_but_the_floor_are_named() -> None:
    end = "remove less, or train with the penalty"
    assert texts(plan_of((1, WIDE), (5, WIDE), (1, 64))) == [f"only 1 channel is left in a, c: {end}"]
    assert texts(plan_of((3, WIDE), min_channels=3)) == [f"only 3 channels are left in a: {end}"]
    assert texts(plan_of(*[(1, WIDE)] * 7)) == [f"only 1 channel is left in a, b, c, d, e and 2 more: {end}"]


def test_outputs_that_say_nothing_are_a_sign() -> None:
    assert texts(plan_of((5, WIDE)), depends=False) == [
        "the pruned network gives the same outputs whatever its input is: remove less, or train with the penalty"
    ]


@pytest.mark.parametrize(
    ("before", "after", "classes", "warned"),
    [
        (0.9, 0.125, 10, True),
        (0.9, 0.1, 10, True),
        (0.9, 0.16, 10, False),
        (0.125, 0.1, 10, False),  # it was by chance before
        (0.9, 0.1, None, False),
    ],
)
def test_accuracy_by_chance_is_a_sign_if_it_was_better_before(
    before: float, after: float, classes: int | None, warned: bool
) -> None:
    found = texts(plan_of((5, WIDE)), {"top1_before": before, "top1": after}, classes)
    expected = ["right after pruning the accuracy is that of chance (10.0%): fine-tune, or remove less"]
    assert found == (expected if warned else [])
