"""Settings of `netslim recipe`; nothing heavy is imported here, since the command line's help is made from it."""

from pathlib import Path

from netslim.core.config import Setting
from netslim.core.overwrites import Use
from netslim.stages.slim.config import PlannedConfig, starts_of

ACTIONS = ("new", "check", "show")


class RecipeConfig(PlannedConfig):
    """Recipes for `netslim slim`: written, checked, shown."""

    action: str | None = Setting(
        None, "new (write what slim would plan, to edit), check (find mistakes), or show (its commands)"
    )
    file: Path | None = Setting(None, "the recipe (TOML)")
    save: Path = Setting(Path("runs/slim"), "with show: the run's folder", group="Run", free=True)

    def keeps(self) -> list[Use]:
        """With the recipe that is checked or shown, and what it starts from."""
        if self.file is None or self.action == "new":
            return super().keeps()
        return [*super().keeps(), Use(setting="file", path=self.file), *starts_of(self.file)]

    def writes(self) -> list[Use]:
        """The recipe that is made."""
        return [Use(setting="file", path=self.file)] if self.file is not None and self.action == "new" else []
