"""The commands that make all of a page again, in the order of the work."""

from __future__ import annotations

from dataclasses import dataclass

from netslim.report.page.commands import command_of, spelled_command
from netslim.report.page.story import Story


@dataclass(frozen=True)
class Again:
    """A command, what it does, and the folder that it did it in."""

    title: str
    folder: str
    command: str


def again(told: Story) -> list[Again]:
    """The commands: of a finished `netslim slim` all that it printed, else those of the runs and of their transfer."""
    whole = told.whole
    if whole is not None and whole.commands:
        first = [Again("All of it", "", spelled_command("slim", whole.file.settings))] if whole.file.settings else []
        steps = [Again(f"Or step {number} alone", "", text) for number, text in enumerate(whole.commands, 1)]
        return [*first, *steps]
    came = told.findings.transferred
    transfer = [Again("Transfer", "", came.command)] if came and came.command else []
    return [*transfer, *(Again(run.title, run.name, command_of(run)) for run in told.every)]


def begins_with(told: Story) -> str:
    """The file that the first run went on from, if none of the commands makes it; else empty."""
    came, origin = told.findings.transferred, told.chain[0].origin
    known = origin is None or (told.whole and told.whole.commands) or (came and came.command)
    return "" if known or origin is None else origin.path
