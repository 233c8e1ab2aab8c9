"""The command to go on with, written so that it can be pasted: with `netslim`, or as the guide's script."""

import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netslim.cli.flags import words_of
from netslim.cli.verbs import TOGETHER, VERBS
from netslim.core.files import as_word
from netslim.core.launch import launched

if TYPE_CHECKING:
    from netslim.core.config import StageConfig

Write = Callable[[str, Mapping[str, Any], Mapping[str, Any]], str | None]


def netslim_command(verb: str, settings: Mapping[str, Any], network: Mapping[str, Any]) -> str:  # noqa: ARG001
    """`netslim VERB ...`; the network stands in the file that it names."""
    positional = VERBS[verb].positional
    given = [value for name, value in settings.items() if name in positional]
    words = [as_word(each) for value in given for each in (value if isinstance(value, list) else [value])]
    for name, value in settings.items():
        words += [] if name in positional or value is None else words_of(name, value)
    by_name = launcher(verb) == ["python"] and Path(sys.argv[0]).name != "__main__.py"
    return shlex.join([*(["netslim"] if by_name else [*launcher(verb), "-m", "netslim"]), verb, *words])


def command(verb: str, settings: Mapping[str, Any]) -> str:
    """The command of any run, also of one that a file names and this netslim has no verb for."""
    return netslim_command(verb, settings, {}) if verb in VERBS else shlex.join(["netslim", verb])


def launcher(verb: str) -> list[str]:
    """What starts a program: torchrun where it started this one and several processes can do `verb`, else python."""
    if verb in TOGETHER and launched():
        return ["torchrun", "--nproc-per-node", os.environ.get("LOCAL_WORLD_SIZE", os.environ["WORLD_SIZE"])]
    return ["python"]


_write: ContextVar[Write] = ContextVar("write", default=netslim_command)


@contextmanager
def writing(write: Write) -> Iterator[None]:
    """Inside, commands look as `write` has them; where it has none for a step, they are `netslim`'s."""
    token = _write.set(write)
    try:
        yield
    finally:
        _write.reset(token)


def say_next(verb: str, config: "StageConfig", result: Mapping[str, Any]) -> None:
    """Prints the command for the step that follows `verb`, if one does."""
    if not VERBS[verb].goes_on:
        return
    from netslim.report.console import say
    from netslim.stages.next_step import next_step

    step = next_step(verb, config, result)
    if step is not None:
        given = step.verb, step.settings, step.network
        say(f"next, {step.why}:")
        say(f"  {_write.get()(*given) or netslim_command(*given)}")
