"""The command lines of single verbs that do what a recipe does."""

import shlex
from collections.abc import Iterator, Sequence

from netslim.core.errors import setting
from netslim.core.files import as_word
from netslim.report.console import say, spelled
from netslim.stages.slim.settings import Planned


def commands(steps: Sequence[Planned]) -> list[str]:
    """The command lines of single verbs that do the steps, as the one who shows them spells settings."""
    return [spelled(" ".join(_words(each))) for each in steps]


def _words(planned: Planned) -> Iterator[str]:
    """`netslim prune FILE ...`, with settings between backticks."""
    yield f"netslim {planned.step.verb}"
    config, fields = planned.config, type(planned.config).model_fields
    named: list[str] = [name for name in ("model", "files") if name in fields]
    for name in named:
        value = getattr(config, name)
        yield from (shlex.quote(as_word(path)) for path in (value if isinstance(value, list) else [value]))
    for name, info in fields.items():
        value = getattr(config, name)
        if name in named or value == info.default:
            continue
        if isinstance(value, list):
            value = [shlex.quote(str(item)) for item in value]
        yield setting(name, value if isinstance(value, bool | int | float | list) else shlex.quote(str(value)))


def show_commands(steps: Sequence[Planned], which: str = "") -> None:
    """The commands, to copy.

    Args:
        steps: of one variant.
        which: one it is, where there are several: `seed 2, prune.percent 0.5`.
    """
    say(f"the same by single verbs{which and f' ({which})'}:")
    for line in commands(steps):
        say(f"  {line}")
