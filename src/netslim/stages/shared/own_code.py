"""The files of the user's own code that settings name: a run depends on what is in them."""

from pathlib import Path

from netslim.core.config import StageConfig
from netslim.core.plugins.references import file_of

REFERENCES = ("arch", "dataset", "loss", "metric", "optimizer")


def own_code(config: StageConfig) -> dict[str, Path]:
    """The files, by what they are called in the record of a run."""
    found = {name: file_of(getattr(config, name, None)) for name in REFERENCES}
    return {f"code of {name}": file for name, file in found.items() if file is not None}
