"""How the command line spells the settings that messages name in Python's way: `min_channels=0` as --min-channels 0."""

import ast
import functools
import json
import re
from typing import TYPE_CHECKING, Any

from netslim.cli.verbs import VERBS

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

_OF_EVERY_VERB = {"config", "set", "json", "debug"}
_QUOTED = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_SETTING = re.compile(rf"`([a-z_]\w*)(?:=({_QUOTED}|[^`]*))?`")


def flag_of(name: str) -> str:
    """The flag of a setting: `min_channels` -> --min-channels."""
    return f"--{name.replace('_', '-')}"


def spelled(text: str) -> str:
    """A message with the settings between its backticks as flags; other words between backticks stay as they are.

    `data_dir` becomes --data-dir, `depth=20` --depth 20, `save='runs/a'` --save runs/a, `absorb=False` --no-absorb and
    `unverified_data=True` --unverified-data. A switch with a short flag is that one: `sparsity_regularization=True` is
    -sr.
    """
    return _SETTING.sub(_flag, text) if "`" in text else text


def words_of(name: str, value: object) -> list[str]:
    """A setting as words of a command line: `depth`, 20 -> --depth 20; a switch is one word."""
    info = _settings().get(name)
    if "." in name:  # of a step of a recipe
        return ["--set", f"{name}={json.dumps(value) if isinstance(value, bool) else value}"]
    if isinstance(value, bool):
        return [_switch(name, info, on=value) if info else flag_of(name)]
    return [flag_of(name), *(map(str, value) if isinstance(value, list) else [str(value)])]


def _flag(found: re.Match[str]) -> str:
    name, value = found[1], found[2]
    info = _settings().get(name)
    if info is None and name not in _OF_EVERY_VERB:
        return found[0]
    if info is not None and value is not None and name in _positional():
        return f"{name.upper()} {value}"
    if info is not None and info.annotation in (bool, bool | None) and value in ("True", "False"):
        return _switch(name, info, on=value == "True")
    if value is None:
        return flag_of(name)
    return f"{flag_of(name)} {_bare(value)}"


def _bare(value: str) -> str:
    """A value as it is typed: a text without its quotes unless it is empty, a list of texts word by word."""
    if re.fullmatch(_QUOTED, value):
        return str(ast.literal_eval(value)) or "''"
    if re.fullmatch(rf"\[({_QUOTED})(, ({_QUOTED}))*\]", value):
        return " ".join(ast.literal_eval(value))
    return value


def _switch(name: str, info: "FieldInfo", *, on: bool) -> str:
    if not on:
        return flag_of(f"no_{name}")
    return next((flag for flag in further_flags(info) if not flag.startswith("--")), flag_of(name))


def further_flags(info: "FieldInfo") -> list[str]:
    """The other names that a setting has on the command line, such as -sr."""
    return [str(flag) for flag in _extra(info).get("aliases") or []]


def group_of(info: "FieldInfo") -> str:
    """The heading that a setting stands under in help, or nothing."""
    return str(_extra(info).get("group") or "")


def _extra(info: "FieldInfo") -> dict[str, Any]:
    extra: Any = info.json_schema_extra
    return extra if isinstance(extra, dict) else {}


@functools.cache
def _positional() -> set[str]:
    """The settings that are given without a flag, whatever the verb."""
    everywhere = {name for verb in VERBS.values() for name in verb.positional}
    return {
        name
        for name in everywhere
        if all(name in verb.positional for verb in VERBS.values() if name in verb.stage.settings().model_fields)
    }


@functools.cache
def _settings() -> "dict[str, FieldInfo]":
    """The settings of all verbs: a message of one may name those of another."""
    return {name: info for verb in VERBS.values() for name, info in verb.stage.settings().model_fields.items()}
