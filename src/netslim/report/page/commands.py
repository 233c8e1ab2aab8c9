"""The commands that make the runs again: the command line says how they are spelled."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from netslim.report.page.run_folder import Run

Spell = Callable[[str, Mapping[str, Any]], str]


def _by_name(verb: str, settings: Mapping[str, Any]) -> str:
    """As it can be typed whatever flags there are."""
    words = [f"--set={name}={value}" for name, value in settings.items()]
    return shlex.join(["netslim", verb, *words])


_spell: ContextVar[Spell] = ContextVar("spell", default=_by_name)


@contextmanager
def commands_spelled(spell: Spell) -> Iterator[None]:
    """Inside, commands are spelled by `spell`, which takes a verb and its settings."""
    token = _spell.set(spell)
    try:
        yield
    finally:
        _spell.reset(token)


def command_of(run: Run) -> str:
    """The command of a run. One that was recorded before its settings were has those that are not empty."""
    settings = run.record.settings
    if settings is None:
        settings = {name: value for name, value in run.config.items() if value not in (None, [], False, "")}
        settings["save"] = str(run.folder)
    return spelled_command(run.record.stage, settings)


def spelled_command(verb: str, settings: Mapping[str, Any]) -> str:
    """A command in the words of whoever started this."""
    return _spell.get()(verb, settings)
