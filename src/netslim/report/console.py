"""Standard output: one console, full width where it is no terminal, so that logs are not wrapped."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from rich.console import Console

from netslim.core.launch import is_first

PLAIN_WIDTH = 160
_spelling: ContextVar[Callable[[str], str]] = ContextVar("spelling", default=str)


class _Console(Console):
    """A console whose reader may leave (`| head`)."""

    def on_broken_pipe(self) -> None:
        """Lets the error go up: rich itself would exit from within."""
        raise


def console() -> Console:
    """A console on the current standard output; of several processes the first one's shows something."""
    quiet = not is_first()
    found = _Console(highlight=False, markup=False, emoji=False, quiet=quiet)
    if found.is_terminal:
        return found
    return _Console(highlight=False, markup=False, emoji=False, width=PLAIN_WIDTH, quiet=quiet)


@contextmanager
def spelling(spell: Callable[[str], str]) -> Iterator[None]:
    """Inside, lines are written as `spell` spells them: it decides how a setting between backticks looks."""
    token = _spelling.set(spell)
    try:
        yield
    finally:
        _spelling.reset(token)


def spelled(text: str) -> str:
    """A line as it is to be written."""
    return _spelling.get()(text)


def say(text: str) -> None:
    """Prints one line."""
    console().print(spelled(text), soft_wrap=True)
