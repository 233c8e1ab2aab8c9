"""`netslim recipe`: writes, checks and shows what `netslim slim` runs. Only `check` loads torch."""

from pathlib import Path
from typing import Any

from netslim.core.errors import UsageError, unknown_name
from netslim.core.files import atomic_write
from netslim.report.console import say
from netslim.stages.recipe.config import ACTIONS, RecipeConfig
from netslim.stages.slim.commands import commands
from netslim.stages.slim.planning import asked_recipe
from netslim.stages.slim.recipe import Recipe, to_toml
from netslim.stages.slim.settings import Planned, check, folder_names, planned


def run(config: RecipeConfig) -> dict[str, Any]:
    """Does what `config.action` says with the recipe in `config.file`. Returns the recipe.

    Raises:
        UsageError: no such action, a recipe with a mistake, or a file that would be replaced.
        NetslimError: the file can't be written.
    """
    if config.action not in (None, *ACTIONS):
        raise unknown_name("action", config.action, ACTIONS)
    if config.action is None or config.file is None:
        raise UsageError("type netslim recipe new FILE, netslim recipe check FILE or netslim recipe show FILE")
    if config.action == "new":
        return _new(config, config.file).to_dict()
    recipe = asked_recipe(config, config.file)
    steps = _planned(recipe, config.save)
    if config.action == "check":
        check(steps)
        say(f"{config.file}: {len(steps)} steps without a mistake ({', '.join(step.name for step in recipe.steps)})")
    else:
        for line in commands(steps):
            say(line)
    return recipe.to_dict()


def _new(config: RecipeConfig, file: Path) -> Recipe:
    if file.exists():
        raise UsageError(f"{file} is there already: type another name, or remove it")
    if config.dataset is None and config.checkpoint is None:
        raise UsageError("type `dataset=NAME` (`dataset='digits'` needs no download) with the network: `arch=NAME`")
    recipe = asked_recipe(config, None)
    _planned(recipe, config.save)
    atomic_write(file, to_toml(recipe, f"netslim slim {file} --save DIR").encode())
    say(f"wrote {file}: {len(recipe.steps)} steps ({', '.join(step.name for step in recipe.steps)})")
    say(f"edit it, netslim recipe check {file}, then netslim slim {file} --save DIR")
    return recipe


def _planned(recipe: Recipe, save: Path) -> list[Planned]:
    return planned(recipe, {name: save / folder for name, folder in folder_names(recipe).items()})
