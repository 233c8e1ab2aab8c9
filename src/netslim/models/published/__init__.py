"""Small networks that come with netslim: a folder each, with weights, configuration and card.

`recipes/publish.py` writes them, from runs of the recipes beside it.
"""

from pathlib import Path

from netslim.core.errors import unknown_name
from netslim.core.safetensors_folder import CONFIG

PREFIX = "published"
_HERE = Path(__file__).parent


def names() -> list[str]:
    """The names, sorted: `published/NAME` is what `netslim.load` takes."""
    return sorted(config.parent.name for config in _HERE.glob(f"*/{CONFIG}"))


def is_published(path: Path) -> bool:
    """Whether a path is the name of one, and not of a file that is there."""
    return path.parts[:1] == (PREFIX,) and len(path.parts) == 2 and not path.exists()


def folder_of(path: Path) -> Path:
    """Where it is. Raises UsageError for a name that is not known."""
    if path.name not in names():
        raise unknown_name("published network", path.name, names())
    return _HERE / path.name
