"""From a recipe to the settings of its verbs, with the folders and files of one run filled in."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netslim.core.config import StageConfig
from netslim.core.errors import UsageError, setting
from netslim.core.plugins.references import is_reference
from netslim.stages.slim.recipe import SHARED, Recipe, Step, is_file, wrong_start


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A step at its place.

    Attributes:
        step: of the recipe.
        folder: its own.
        config: the verb's settings, all of them.
        inputs: the files that it reads, by setting.
    """

    step: Step
    folder: Path
    config: StageConfig
    inputs: Mapping[str, Path]

    @property
    def network(self) -> Path | None:
        """The network file that it leaves, if it leaves one."""
        name = self.step.kind.network
        return self.folder / name if name else None


def planned(recipe: Recipe, folders: Mapping[str, Path]) -> list[Planned]:
    """Every step with its settings.

    Args:
        recipe: the steps.
        folders: the folder of each, by name.

    Raises:
        UsageError: a setting has a value that it can't have; the message names the step.
    """
    found: list[Planned] = []
    for step in recipe.steps:
        files = {each.step.name: each.network for each in found if each.network is not None}
        try:
            found.append(_planned(recipe, step, folders[step.name], files))
        except UsageError as error:
            raise UsageError(f"{step.place}: {error}") from error
    return found


def check(steps: list[Planned]) -> None:
    """Raises UsageError for settings of a step that contradict each other: before hours of work, not after."""
    from netslim.data.dataset import DATASETS

    for each in steps:
        name = getattr(each.config, "dataset", None)
        try:
            if name is not None and not is_reference(name):
                DATASETS.get(name)
            each.step.kind.check(each.config)
        except UsageError as error:
            raise UsageError(f"{each.step.place}: {error}") from error


def folder_names(recipe: Recipe) -> dict[str, str]:
    """The sub-folder of every step, by its name: 01-dense, 02-prune ..."""
    return {step.name: f"{number:02}-{step.name}" for number, step in enumerate(recipe.steps, 1)}


def _planned(recipe: Recipe, step: Step, folder: Path, files: Mapping[str, Path]) -> Planned:
    fields = step.kind.stage.settings().model_fields
    shared = {name: value for name, value in recipe.shared.items() if name in SHARED and name in fields}
    values = {**shared, **{name: _file(recipe, step, name, value, files) for name, value in step.settings.items()}}
    values |= _start(recipe, step, files)
    config = step.kind.stage.settings().build({**values, **step.kind.writes_to(folder, values)})
    inputs = {use.setting: use.path for use in config.reads()}
    if step.kind.several:
        inputs = {f"files {number}": use.path for number, use in enumerate(config.reads())}
    return Planned(step=step, folder=folder, config=config, inputs=inputs)


def _start(recipe: Recipe, step: Step, files: Mapping[str, Path]) -> dict[str, Any]:
    if not step.starts:
        return {}
    paths = [files.get(start, Path(start)) for start in step.starts]
    if step.kind.several:
        return {step.kind.start: paths}
    small = step.verb == "train" and recipe.is_pruned(step.starts[0])
    return {"refine" if small else step.kind.start: paths[0]}


def _file(recipe: Recipe, step: Step, name: str, value: Any, files: Mapping[str, Path]) -> Any:
    """A setting's value; of one that names a file it may be the name of an earlier step."""
    extra: Any = step.kind.stage.settings().model_fields[name].json_schema_extra
    if not extra["reads"] or not isinstance(value, str):
        return value
    if wrong := wrong_start(value, recipe.steps[: recipe.steps.index(step)]):
        raise UsageError(f"{setting(name, value)}: it is {wrong}")
    return value if is_file(value) else files[value]
