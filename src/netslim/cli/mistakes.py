"""Command lines that can't be read, in one line each: what was typed, what is meant, and where the flags are listed.

The parsers' own messages (typer's, argparse's) have up to five lines, or leave out what was given.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from netslim.core.errors import nearest
from netslim.core.files import as_word


def of_verb(error: Any, program: str, typed: Iterable[str] = ()) -> str:
    """What one of typer's usage errors says; nothing where it is the help that `netslim` alone shows.

    They are told by what they carry: the classes' home differs by release. Of `-percent` they carry -p alone.
    """
    if type(error).__name__ == "NoArgsIsHelpError":
        return ""
    said, given = str(error.format_message()), getattr(error, "option_name", None)
    if hasattr(error, "possibilities"):
        command = getattr(error.ctx, "command", None)
        flags = [flag for each in getattr(command, "params", []) for flag in (*each.opts, *each.secondary_opts)]
        whole = next((word for word in typed if re.match(r"-\w", word) and word.startswith(str(given))), str(given))
        return _of_steps(whole, program) or _ended(_unknown(whole, flags), program)
    if words := re.search(r"extra arguments?(?:\(s\))? \((.*)\)", said, re.DOTALL):
        return _ended(f"'{words[1]}': {program} takes no such word", program)
    if given is not None and "requires" in said:
        return _ended(f"{given} needs a value after it", program)
    return said if said.startswith("unknown verb") else _ended(f"{said[:1].lower()}{said[1:]}", program)


def _of_steps(given: str, program: str) -> str:
    """What to type where a verb of recipes is given a flag of one of their steps; nothing for any other."""
    from netslim.stages.slim.config import STEPS
    from netslim.stages.slim.recipe import is_of_steps

    name = given.partition("=")[0].lstrip("-").replace("-", "_")
    if program not in ("netslim slim", "netslim recipe") or not is_of_steps(name):
        return ""
    return f"{given} is a setting of single steps: type --set STEP.{name}=VALUE ({STEPS})"


def of_script(message: str, flags: Iterable[str], program: str) -> str:
    """What one of argparse's messages says."""
    if words := re.match("unrecognized arguments: (.*)", message, re.DOTALL):
        unknown = [word for word in words[1].split() if word.startswith("-")]
        return _ended(_unknown(unknown[0], flags) if unknown else f"'{words[1]}': it takes no such word", program)
    return _ended(message.removeprefix("argument "), program)


def _unknown(given: str, flags: Iterable[str]) -> str:
    near = nearest(given, [flag for flag in flags if flag.startswith("--")])
    meant = f"; did you mean {' or '.join(near)}?" if near else ""
    if Path(given).exists():
        meant = f"; the file of that name is typed {as_word(given)}"
    return f"unknown flag {given}{meant}"


def _ended(said: str, program: str) -> str:
    return f"{said.rstrip('.')} ({program} --help lists the flags)"
