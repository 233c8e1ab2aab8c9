"""Seeds and swept settings: what is done once, and where each step lies."""

import re
from pathlib import Path

import pytest

from netslim.core.errors import UsageError
from netslim.stages.slim.recipe import Recipe, Step
from netslim.stages.slim.variants import axes_of, variants_of

RECIPE = Recipe(
    shared={"dataset": "digits"},
    steps=(
        Step(name="dense", verb="train", settings={"epochs": 2}),
        Step(name="prune", verb="prune", starts=("dense",), settings={"target_macs": 0.5}),
        Step(name="tune", verb="train", starts=("prune",), settings={"teacher": "dense"}),
    ),
)


def test_one_variant_lies_in_the_folder_itself() -> None:
    (variant,) = variants_of(RECIPE, [], Path("r"))
    assert [step.folder for step in variant.steps] == [Path("r/01-dense"), Path("r/02-prune"), Path("r/03-tune")]
    assert variant.steps[2].inputs == {
        "refine": Path("r/02-prune/pruned.pth.tar"),
        "teacher": Path("r/01-dense/model_best.pth.tar"),
    }


def test_what_comes_before_a_swept_step_is_done_once() -> None:
    axes = axes_of(RECIPE, "1,2", ["prune.percent=0.3,0.5"])
    variants = variants_of(RECIPE, axes, Path("r"))
    assert [dict(variant.values) for variant in variants] == [
        {"seed": seed, "prune.percent": share} for seed in (1, 2) for share in (0.3, 0.5)
    ]
    last = variants[-1]
    assert [str(step.folder) for step in last.steps] == [
        "r/seed-2/01-dense",
        "r/seed-2/prune-percent-0.5/02-prune",
        "r/seed-2/prune-percent-0.5/03-tune",
    ]
    assert last.folder == Path("r/seed-2/prune-percent-0.5")
    assert (last.steps[0].config.seed, last.steps[1].config.percent, last.steps[1].config.target_macs) == (2, 0.5, None)  # type: ignore[attr-defined]


def test_a_later_sweep_lies_inside_of_an_earlier_one() -> None:
    axes = axes_of(RECIPE, None, ["tune.lr=0.1,0.01", "prune.percent=0.3"])
    folder = variants_of(RECIPE, axes, Path("r"))[-1].steps[-1].folder
    assert folder == Path("r/prune-percent-0.3/tune-lr-0.01/03-tune")


@pytest.mark.parametrize(
    ("seeds", "sweep", "message"),
    [
        ("1,a", [], "`seeds='1,a'`: different whole numbers from 0 on, with commas between; type `seeds='1,2,3'`"),
        ("1,1", [], "`seeds='1,1'`: different whole numbers from 0 on"),
        ("1,-2", [], "`seeds='1,-2'`: different whole numbers from 0 on, with commas between; type `seeds='1,2,3'`"),
        (
            "",
            [],
            "`seeds=''`: different whole numbers from 0 on, with commas between; type `seeds='1,2,3'`, or leave it out",
        ),
        (None, ["percent=0.3"], "`sweep='percent=0.3'`: STEP.SETTING with different values, such as"),
        (None, ["prune.percent"], "`sweep='prune.percent'`: STEP.SETTING with different values"),
        (None, ["prune.percent=0.3,0.3"], "`sweep='prune.percent=0.3,0.3'`: STEP.SETTING with different values"),
        (None, ["prun.percent=0.3"], "`sweep='prun.percent=0.3'`: unknown step 'prun'; did you mean prune"),
        (None, ["prune.precent=0.3"], "`sweep='prune.precent=0.3'`: step 'prune': unknown setting 'precent'; did"),
        (
            None,
            ["prune.percent=0.3", "prune.percent=0.4"],
            "`sweep='prune.percent=0.4'`: prune.percent is swept already",
        ),
        (None, ["prune.round-to=4", "prune.round_to=8"], "`sweep='prune.round_to=8'`: prune.round_to is swept already"),
        (
            None,
            ["prune.percent=0.3,0.5", "prune.target-macs=0.4"],
            "`sweep='prune.target-macs=0.4'`: prune has one budget, and prune.percent is swept already; leave one",
        ),
    ],
)
def test_what_can_not_be_swept(seeds: str | None, sweep: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(message)}"):
        axes_of(RECIPE, seeds, sweep)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("prune.percent", "prune.percent is set already; type all of its values in one `sweep` alone"),
        ("prune.target-macs", "prune has one budget, and prune.target_macs is set already; leave one of them out"),
    ],
)
def test_what_is_set_is_not_swept(said: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(f"`: {message}")):
        axes_of(RECIPE, None, ["prune.percent=0.3,0.5"], [said])
    assert len(axes_of(RECIPE, None, ["prune.percent=0.3,0.5"], ["prune.round_to", "tune.percent"])) == 1


def test_each_value_has_a_folder_of_its_own() -> None:
    axes = axes_of(RECIPE, None, ["prune.only=layer1*,layer1?,layer1_-2,layer2"])
    folders = [str(variant.folder) for variant in variants_of(RECIPE, axes, Path("r"))]
    assert folders == [f"r/prune-only-{name}" for name in ("layer1_", "layer1_-2", "layer1_-2-2", "layer2")]


def test_too_many() -> None:
    axes = axes_of(RECIPE, ",".join(map(str, range(300))), [])
    with pytest.raises(UsageError, match="more than 200 variants"):
        variants_of(RECIPE, axes, Path("r"))
