"""Small networks that come with netslim: a folder each, with weights, configuration and card.

`recipes/publish.py` writes them, from runs of the recipes beside it.
"""

import re
from pathlib import Path

from netslim.core.errors import unknown_name
from netslim.core.safetensors_folder import CONFIG

PREFIX = "published"
_HERE = Path(__file__).parent


def names() -> list[str]:
    """The names, sorted: `published/NAME` is what `netslim.load` takes."""
    return sorted(config.parent.name for config in _HERE.glob(f"*/{CONFIG}"))


def facts(name: str) -> str:
    """`digits 1 x 16 x 16, 114,068 of 219,194 parameters, top-1 98.33 % of 360 test images`, from its card."""
    card = (_HERE / name / "README.md").read_text()
    row = dict(re.findall(r"^\| ([\w-]+) \| (.+) \|$", card, re.MULTILINE))
    dataset = re.findall(r"^- (.+)$", card, re.MULTILINE)[0]
    return f"{dataset} {row['input']}, {row['parameters']} parameters, top-1 {row['top-1']}"


def is_published(path: Path) -> bool:
    """Whether a path is the name of one, and not of a file that is there."""
    return path.parts[:1] == (PREFIX,) and len(path.parts) == 2 and not path.exists()


def folder_of(path: Path) -> Path:
    """Where it is. Raises UsageError for a name that is not known."""
    if path.name not in names():
        raise unknown_name("published network", path.name, names())
    return _HERE / path.name


def holds(path: Path) -> bool:
    """Whether a folder is one of them, so that nothing is written beside it."""
    return path.parent == _HERE
