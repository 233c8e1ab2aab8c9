"""Settings of `netslim slim`; nothing heavy is imported here, since the command line's help is made from it."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from pydantic import PrivateAttr

from netslim.core.config import Setting, StageConfig
from netslim.core.errors import UsageError
from netslim.core.overwrites import Use
from netslim.stages.shared import plugins
from netslim.stages.shared.config import SEED, TaskConfig
from netslim.stages.slim.recipe import is_file, is_of_steps, read_recipe

STEPS = "STEP is dense, prune or tune where no recipe is given (no dense with a checkpoint), else a name in it"


class PlannedConfig(TaskConfig):
    """What a recipe is made from where none is given."""

    dataset: str | None = Setting(
        None, f"data set to train on: {plugins.or_own(plugins.DATASETS)}; or the recipe's", group="Data"
    )
    arch: str | None = Setting(
        None,
        f"the network to slim: {plugins.architectures()} (with pretrained weights), or {plugins.OWN}; default: resnet",
        group="Network",
    )
    checkpoint: Path | None = Setting(
        None, "file of a trained network to slim, which is trained on at a lower rate", group="Network", reads=True
    )
    depth: int | None = Setting(None, "depth, for networks whose name does not say it", group="Network")
    stem: str | None = Setting(
        None,
        "first layers of a library's network, imagenet or cifar; default: cifar for images of up to 64 pixels",
        group="Network",
    )
    target_macs: str | float | None = Setting(
        None, "MACs that remain: a share or a number (120M); default: 0.5 without another budget", group="Budget"
    )
    target_params: str | float | None = Setting(
        None, "parameters that remain: a share (0.5) or a number (1.2M)", group="Budget"
    )
    target_latency: str | float | None = Setting(
        None, "time that remains, measured on this machine: a share (0.6), or a time for an image (3ms)", group="Budget"
    )
    percent: float | None = Setting(None, "share of all channels that goes", group="Budget")
    _steps: dict[str, Any] = PrivateAttr(default_factory=dict)

    @property
    def steps(self) -> Mapping[str, Any]:
        """Settings of single steps: `prune.percent` -> 0.4."""
        return self._steps

    @classmethod
    def build(cls, values: Mapping[str, Any]) -> Self:
        """Validates `values`; names with a dot are settings of steps, which are checked with the recipe.

        Raises:
            UsageError: the values, or a recipe where settings belong.
        """
        if "step" in values:
            raise UsageError("a recipe is no file of settings: type netslim slim FILE.toml")
        for name in values:
            if name not in cls.model_fields and is_of_steps(name):
                raise UsageError(f"{name} is a setting of single steps: type --set STEP.{name}=VALUE ({STEPS})")
        config = super().build({name: value for name, value in values.items() if "." not in name})
        config._steps = {name: value for name, value in values.items() if "." in name}
        return config

    def typed(self) -> dict[str, Any]:
        """The settings that differ from their defaults, those of steps included, as plain data."""
        return {**self.changed(), **self.steps}


class SlimConfig(PlannedConfig):
    """One command from a network to a small one: a recipe of steps, which goes on where it was cut off."""

    recipe: Path | None = Setting(
        None, "recipe (TOML) to run; without one it is planned from --dataset and --arch", reads="own"
    )
    time: str | None = Setting(
        None,
        "time for all of it: 10m, 1h30m, overnight (8h); epochs are planned from a measured pace",
        group="Plan",
    )
    dry_run: bool = Setting(False, "say the steps, files and expected minutes, and do nothing", group="Plan", free=True)
    seeds: str | None = Setting(None, "all of it once per seed: 1,2,3; ends in a table with means", group="Fan-out")
    sweep: list[str] = Setting(
        [], "all of it once per value of a step's setting: prune.percent=0.3,0.5; may be repeated", group="Fan-out"
    )
    slurm: list[str] = Setting(
        [],
        "one job on Slurm per variant, of these sbatch options: time=4h gpus-per-node=1 partition=NAME; "
        "may be repeated (needs netslim[slurm])",
        group="Fan-out",
        free=True,
    )
    seed: int | None = Setting(None, f"seed of everything random; default: the recipe's, else {SEED}", group="Run")
    save: Path = Setting(
        Path("runs/slim"), "folder of the run: a sub-folder per step", group="Run", free=True, writes=("*",)
    )

    def keeps(self) -> list[Use]:
        """With the files that the recipe starts from."""
        return [*super().keeps(), *(starts_of(self.recipe) if self.recipe else [])]


def starts_of(file: Path) -> list[Use]:
    """The files that a recipe names: none of one with a mistake, which is told where it is run."""
    with suppress(UsageError):
        steps = read_recipe(file).steps
        named = [start for step in steps for start in (*step.starts, *step.settings.values()) if isinstance(start, str)]
        return [Use(setting="from", path=Path(start), own=True) for start in named if is_file(start)]
    return []


def given(config: StageConfig, names: tuple[str, ...]) -> dict[str, Any]:
    """Those of the named settings that were given."""
    found = {name: getattr(config, name) for name in names if name in type(config).model_fields}
    return {name: value for name, value in found.items() if value != type(config).model_fields[name].default}
