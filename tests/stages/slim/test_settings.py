"""From a recipe to the settings of its verbs."""

import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from netslim.core.errors import UsageError
from netslim.stages.slim.recipe import Recipe, read_recipe, recipe_of
from netslim.stages.slim.settings import Planned, check, folder_names, planned

TEXT = """
dataset = "digits"
seed = 3

[[step]]
name = "dense"
verb = "train"
depth = 11

[[step]]
verb = "prune"
from = "dense"
percent = 0.4

[[step]]
name = "tune"
verb = "train"
from = "prune"
teacher = "dense"

[[step]]
name = "on"
verb = "train"
from = "dense"
teacher = "./teacher.pth.tar"

[[step]]
verb = "bench"
from = ["dense", "tune"]
"""


def recipe(changes: dict[str, Any] | None = None) -> Recipe:
    return recipe_of(tomllib.loads(TEXT)).with_settings(changes or {})


def steps(changes: dict[str, Any] | None = None) -> list[Planned]:
    found = recipe(changes)
    return planned(found, {name: Path("run") / place for name, place in folder_names(found).items()})


@pytest.fixture(autouse=True)
def _teacher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file that a step reads."""
    monkeypatch.chdir(tmp_path)
    Path("teacher.pth.tar").touch()


def test_folders_are_numbered_in_order() -> None:
    names = {"dense": "01-dense", "prune": "02-prune", "tune": "03-tune", "on": "04-on", "bench": "05-bench"}
    assert folder_names(recipe()) == names


def test_a_step_starts_from_the_file_that_another_left() -> None:
    dense, prune, tune, on, bench = steps()
    best, small = Path("run/01-dense/model_best.pth.tar"), Path("run/02-prune/pruned.pth.tar")
    assert (dense.network, prune.network, bench.network) == (best, small, None)
    assert dense.inputs == {}
    assert prune.inputs == {"model": best}
    assert tune.inputs == {"refine": small, "teacher": best}  # what was pruned is refined
    assert on.inputs == {"resume": best, "teacher": Path("teacher.pth.tar")}  # what was not is resumed
    assert bench.inputs == {"files 0": best, "files 1": Path("run/03-tune/model_best.pth.tar")}


def test_shared_settings_are_those_of_every_step_that_has_them_and_a_steps_own_go_before() -> None:
    found = {each.step.name: each.config.fixed() for each in steps({"tune.seed": 4})}
    assert [found[name]["seed"] for name in ("dense", "tune", "on")] == [3, 4, 3]
    assert [found[name]["dataset"] for name in ("dense", "prune")] == ["digits", "digits"]
    assert "dataset" not in found["bench"]


def test_a_value_that_can_not_be_names_its_step() -> None:
    with pytest.raises(UsageError, match=r"^step 'tune': `epochs=0`: input should be greater"):
        steps({"tune.epochs": 0})
    with pytest.raises(UsageError, match=r"^step 'tune': `teacher='on'`: it is "):
        steps({"tune.teacher": "on"})  # a later one
    with pytest.raises(UsageError, match=r"^step 'tune': `teacher='no/such.pth'`: it is no/such.pth, and there is no"):
        steps({"tune.teacher": "no/such.pth"})


def test_settings_that_contradict_each_other_are_found_before_the_first_step() -> None:
    check(steps())
    with pytest.raises(UsageError, match=r"^step 'prune': `percent=2`: the share of"):
        check(steps({"prune.percent": 2.0}))
    with pytest.raises(UsageError, match=r"^step 'tune': unknown data set 'digit'; did you mean digits"):
        check(steps({"tune.dataset": "digit"}))
    with pytest.raises(UsageError, match=r"^step 'tune': unknown schedule 'cosin'; did you mean cosine"):
        check(steps({"tune.schedule": "cosin"}))


def test_what_a_last_step_lacks_is_said_before_the_first_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not after hours of training."""
    text = '[[step]]\nverb = "export"\nfrom = "./teacher.pth.tar"\ntarget = "onnx"\n'
    found = recipe_of(tomllib.loads(text))
    check(planned(found, {"export": Path("run")}))
    with pytest.raises(UsageError, match=r"^step 'export': `target='litert'`: it has no int8; type "):
        check(planned(found.with_settings({"export.target": "litert", "export.int8": True}), {"export": Path("run")}))
    with pytest.raises(UsageError, match=r"^step 'bench': `engines='fast'`: type some of eager,"):
        check(steps({"bench.engines": "fast"}))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UsageError, match=r"^step 'export': target onnx needs the package onnxruntime, which is not"):
        check(planned(found, {"export": Path("run")}))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("percent = 0.4", "percent = 50", "my.toml: step 'prune': `percent=50`: "),
        ("depth = 11", "depth = 12", "my.toml: step 'dense': `depth=12`: "),
        ('dataset = "digits"', 'dataset = "digit"', "my.toml: step 'dense': unknown data set 'digit'"),
    ],
)
def test_a_wrong_value_is_said_with_the_file_that_it_stands_in(old: str, new: str, message: str) -> None:
    Path("my.toml").write_text(TEXT.replace(old, new))
    found = read_recipe(Path("my.toml"))
    with pytest.raises(UsageError) as error:
        check(planned(found, {name: Path(place) for name, place in folder_names(found).items()}))
    assert str(error.value).startswith(message)
