"""Standard output: one console, full width where it is no terminal, so that logs are not wrapped."""

from rich.console import Console

from netslim.core.launch import is_first

PLAIN_WIDTH = 160


def console() -> Console:
    """A console on the current standard output; of several processes the first one's shows something."""
    quiet = not is_first()
    found = Console(highlight=False, markup=False, emoji=False, quiet=quiet)
    if found.is_terminal:
        return found
    return Console(highlight=False, markup=False, emoji=False, width=PLAIN_WIDTH, quiet=quiet)


def say(text: str) -> None:
    """Prints one line."""
    console().print(text, soft_wrap=True)
