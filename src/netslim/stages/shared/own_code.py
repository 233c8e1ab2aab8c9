"""The files of the user's own code that settings name: a run depends on what is in them."""

from pathlib import Path

from netslim.core.config import StageConfig
from netslim.core.overwrites import Use
from netslim.core.plugins.references import file_of

REFERENCES = ("arch", "dataset", "loss", "metric", "optimizer")


def own_code(config: StageConfig) -> dict[str, Path]:
    """The files, by what they are called in the record of a run."""
    return {f"code of {use.setting}": use.path for use in own_files(config)}


def own_files(config: StageConfig) -> list[Use]:
    """The same files by the settings that name them."""
    found = {name: file_of(getattr(config, name, None)) for name in REFERENCES}
    return [Use(setting=name, path=file) for name, file in found.items() if file is not None]
