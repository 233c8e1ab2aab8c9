"""Settings of `netslim recipe`; nothing heavy is imported here, since the command line's help is made from it."""

from pathlib import Path

from netslim.core.config import Setting
from netslim.stages.slim.config import PlannedConfig

ACTIONS = ("new", "check", "show")


class RecipeConfig(PlannedConfig):
    """Recipes for `netslim slim`: written, checked, shown."""

    action: str | None = Setting(
        None, "new (write what slim would plan, to edit), check (find mistakes), or show (its commands)"
    )
    file: Path | None = Setting(None, "the recipe (TOML)")
    save: Path = Setting(Path("runs/slim"), "with show: the run's folder", group="Run", free=True)
