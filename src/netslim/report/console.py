"""Standard output: one console, full width where it is no terminal, so that logs are not wrapped."""

from rich.console import Console

PLAIN_WIDTH = 160


def console() -> Console:
    """A console on the current standard output."""
    found = Console(highlight=False, markup=False, emoji=False)
    return found if found.is_terminal else Console(highlight=False, markup=False, emoji=False, width=PLAIN_WIDTH)


def say(text: str) -> None:
    """Prints one line."""
    console().print(text, soft_wrap=True)
