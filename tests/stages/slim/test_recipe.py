"""What a recipe may say, and what is said of one that has a mistake."""

import re
import tomllib
from pathlib import Path

import pytest
import torch

from netslim.core.errors import UsageError
from netslim.stages.slim.recipe import Recipe, read_recipe, recipe_of, to_toml

TEXT = """version = 1
dataset = "digits"
seed = 3

[[step]]
name = "dense"
verb = "train"
depth = 11
epochs = 4

[[step]]
verb = "prune"
from = "dense"
percent = 0.4

[[step]]
name = "tune"
verb = "train"
from = "prune"
teacher = "dense"
lr = 0.01

[[step]]
verb = "bench"
from = ["dense", "tune"]
memory = false
"""


def changed(old: str, new: str) -> Recipe:
    assert old in TEXT
    return recipe_of(tomllib.loads(TEXT.replace(old, new)))


def test_toml_in_and_out() -> None:
    recipe = recipe_of(tomllib.loads(TEXT))
    assert [step.name for step in recipe.steps] == ["dense", "prune", "tune", "bench"]
    assert recipe.steps[3].starts == ("dense", "tune")
    assert recipe_of(tomllib.loads(to_toml(recipe, "two\nlines"))) == recipe
    assert to_toml(recipe, "two\nlines").startswith("# two\n# lines\nversion = 1\n")


def test_texts_that_toml_has_to_escape() -> None:
    recipe = changed('dataset = "digits"', "dataset = 'my \"set\".py:Züri\\x'")
    assert recipe_of(tomllib.loads(to_toml(recipe))) == recipe


def test_what_was_pruned_stays_pruned() -> None:
    recipe = recipe_of(tomllib.loads(TEXT))
    assert [recipe.is_pruned(name) for name in ("dense", "prune", "tune", "some.pth.tar")] == [False, True, True, False]


def test_a_budget_takes_the_place_of_another() -> None:
    recipe = recipe_of(tomllib.loads(TEXT)).with_settings({"prune.target_latency": "3ms", "tune.lr": 0.5})
    assert recipe.step("prune").settings == {"target_latency": "3ms"}
    assert recipe.step("tune").settings["lr"] == 0.5
    with pytest.raises(
        UsageError, match=r"^step 'prune' has one budget, and percent and target_macs are set: type one$"
    ):
        recipe.with_settings({"prune.percent": 0.3, "prune.target_macs": 0.5})


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("version = 1", "version = 2", "a recipe of version 2, and this netslim knows version 1: install a newer"),
        ("version = 1", 'version = "1"', "version = '1': the version of the format is a number; type version = 1"),
        ("seed = 3", "sead = 3", "unknown setting 'sead'; did you mean seed"),
        ("seed = 3", "epochs = 3", "'epochs' is a setting of single steps: write it below a [[step]] (shared: dataset"),
        ("percent = 0.4", "precent = 0.4", "step 'prune': unknown setting 'precent'; did you mean percent or"),
        ("percent = 0.4", 'save = "x"', "step 'prune': every step writes into a folder of its own; leave save out"),
        ("percent = 0.4", 'model = "x"', "step 'prune': what it starts from is from = \"STEP\"; leave model out"),
        ('verb = "prune"', 'verb = "prun"', "unknown verb 'prun'; did you mean prune? (known: bench, evaluate, export"),
        ('verb = "prune"', 'verb = ["prune"]', "unknown verb '['prune']'; did you mean prune?"),
        ('verb = "prune"', 'name = "x"', "step 2 has no verb: type verb = one of transfer, train, prune"),
        ('name = "tune"', 'name = "Dense"', "two steps are called 'Dense' and would share a folder: type another name"),
        ('name = "tune"', 'name = "../x"', "step 3 is called '../x': letters, digits, - and _ in quotes make a name"),
        ('name = "tune"', "name = 3", "step 3 is called 3: letters, digits, - and _ in quotes make a name"),
        (
            'from = "dense"',
            'from = "dens"',
            "step 'prune' starts from 'dens', which no step before it makes; did you mean dense? (steps before it: "
            "dense; of a file type the path)",
        ),
        ('from = "dense"', "", "step 'prune' needs a network: type from = \"STEP\" (steps before it: dense) or a file"),
        ('from = "dense"', 'from = "no/file.pth"', "step 'prune' starts from no/file.pth, and there is no such file"),
        ('from = "dense"', 'from = ["dense", "dense"]', "step 'prune' starts from one network, not from 2: type from"),
        ('from = ["dense", "tune"]', "from = 3", "step 'bench': from = 3: the name of a step, or a file"),
        ('from = "prune"', "from = 0", "step 'tune': from = 0: the name of a step, or a file"),
        ('from = "prune"', 'from = ""', "step 'tune': from = '': the name of a step, or a file"),
    ],
)
def test_a_mistake_is_one_sentence(old: str, new: str, message: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(message)}"):
        changed(old, new)


def test_a_step_that_leaves_no_network_starts_none() -> None:
    text = TEXT + '\n[[step]]\nverb = "evaluate"\nfrom = "bench"\n'
    with pytest.raises(
        UsageError, match=r"^step 'evaluate' starts from 'bench', which leaves no network \(steps before"
    ):
        recipe_of(tomllib.loads(text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs = 3\n", "no recipe: it has no [[step]]; `netslim recipe new FILE` writes one"),
        ("a b = 3\n", "x.toml is not valid TOML: Expected '=' after a key"),
        ("a = " + "[" * 5000, "x.toml is not valid TOML"),
    ],
)
def test_a_file_that_is_no_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.toml").write_text(text)
    with pytest.raises(UsageError) as error:
        read_recipe(Path("x.toml"))
    assert message in str(error.value)


def test_a_network_where_a_recipe_belongs(tmp_path: Path) -> None:
    file = tmp_path / "model_best.pth.tar"
    torch.save({}, file)
    with pytest.raises(UsageError) as error:
        read_recipe(file)
    assert str(error.value) == f"{file} is a network's file and no recipe: type `checkpoint='{file}'`"


def test_a_recipe_that_is_not_there() -> None:
    with pytest.raises(UsageError, match=r"^cannot read the recipe no\.toml: No such file or directory$"):
        read_recipe(Path("no.toml"))


def test_the_folder_of_a_run_has_one(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").touch()
    with pytest.raises(UsageError) as error:
        read_recipe(tmp_path)
    assert str(error.value) == f"cannot read the recipe {tmp_path}: it is a folder; type {tmp_path / 'recipe.toml'}"
