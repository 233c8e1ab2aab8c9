"""Typed configuration of a stage: defaults < config file < `--set` < flags, and all mistakes reported together."""

import tomllib
from collections.abc import Mapping, Sequence
from datetime import date, time
from pathlib import Path
from typing import Any, Self

import pydantic
from pydantic import BaseModel, ConfigDict

from netslim.core.apart import Use
from netslim.core.errors import UsageError, unknown_name
from netslim.core.files import read_text


def Setting(  # noqa: N802
    default: Any = ...,
    help: str = "",
    *,
    free: bool = False,
    flags: Sequence[str] = (),
    reads: bool | str = False,
    writes: bool | Sequence[str] = False,
    **limits: Any,
) -> Any:
    """A field of a stage's configuration.

    Args:
        default: the value when nothing is given; `...` if it must be.
        help: one line for `--help`.
        free: the setting does not change the result (progress, paths), so that a run may go on with another value.
        flags: further names on the command line (`-sr`).
        reads: it names a file (or several) that is read: no output may lie on it; "own": unless it lies in the folder
            of the run itself.
        writes: it names a file that is written; or, of a folder, the names and patterns of the files written there.
        limits: pydantic's constraints (`ge`, `lt`, ...).
    """
    names = [] if isinstance(writes, bool) else list(writes)
    extra: dict[str, Any] = {
        "free": free,
        "flags": list(flags),
        "reads": bool(reads),
        "own": reads == "own",
        "writes": bool(writes),
        "names": names,
    }
    return pydantic.Field(default, description=help, json_schema_extra=extra, **limits)


class StageConfig(BaseModel):
    """Base of all stages' configurations: frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @pydantic.field_validator("*", mode="after")
    @classmethod
    def _representable(cls, value: Any) -> Any:
        """What torch has a number for: single precision ends at 3e38, its integers at 2**63."""
        if isinstance(value, float) and abs(value) > LARGEST_FLOAT:
            raise ValueError(f"input should be less than or equal to {LARGEST_FLOAT:g}")
        if isinstance(value, int) and abs(value) >= 2**63:
            raise ValueError("input should be less than 2**63")
        return value

    @classmethod
    def build(cls, values: Mapping[str, Any]) -> Self:
        """Validates `values`. Raises UsageError that names every mistake."""
        unknown = values.keys() - cls.model_fields.keys()
        mistakes = [str(unknown_name("setting", key, cls.model_fields)) for key in sorted(unknown)]
        try:
            config = cls(**{key: value for key, value in values.items() if key not in unknown})
        except pydantic.ValidationError as error:
            mistakes += [_explain(item) for item in error.errors()]
        if mistakes:
            raise UsageError("; ".join(mistakes))
        return config

    def reads(self) -> list[Use]:
        """The files that its settings name and that are read."""
        return [use for name in type(self).model_fields for use in self._uses(name, "reads")]

    def writes(self) -> list[Use]:
        """The files and folders that its settings name and that are written."""
        return [use for name in type(self).model_fields for use in self._uses(name, "writes")]

    def _uses(self, name: str, kind: str) -> list[Use]:
        extra, value = _extra(type(self).model_fields[name]), getattr(self, name)
        if not extra.get(kind) or value is None:
            return []
        paths = value if isinstance(value, list) else [value]
        names = tuple(extra["names"]) if kind == "writes" else ()
        return [Use(setting=name, path=path, names=names, own=extra["own"]) for path in paths]

    def fixed(self) -> dict[str, Any]:
        """The settings that determine the result, as plain data."""
        free = {name for name, info in type(self).model_fields.items() if _extra(info).get("free")}
        return self.model_dump(mode="json", exclude=free)


RUN_FILES = ("run.json", "metrics.jsonl", ".lock")  # in the folder of every run
SHOWN = 100  # characters of a value in a message
LARGEST_FLOAT = 1e30
LARGEST_FILE = 2**20  # bytes of a configuration


def merge(config_file: Path | None, assignments: Sequence[str], flags: Mapping[str, Any]) -> dict[str, Any]:
    """Config file, then `key=value` assignments, then flags: the later wins.

    Raises:
        UsageError: the file can't be read or is not TOML, or an assignment has no `=`.
    """
    values = _read_toml(config_file) if config_file else {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise UsageError(f"--set takes key=value, got '{assignment}'; type for example --set lr=0.05")
        values[_name(key)] = _value(text.strip())
    return values | dict(flags)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        data = tomllib.loads(read_text(path, LARGEST_FILE))
    except OSError as error:
        raise UsageError(f"cannot read the config file {path}: {error.strerror}") from error
    except RecursionError as error:
        raise UsageError(f"{path} is nested too deep") from error
    except ValueError as error:  # TOMLDecodeError, UnicodeDecodeError, a number with too many digits
        raise UsageError(f"{path} is not valid TOML: {error}") from error
    return {_name(key): value for key, value in data.items()}


def _name(key: str) -> str:
    return key.strip().replace("-", "_")


def _value(text: str) -> Any:
    """TOML's reading of a value where it has one (`0.1`, `true`), else the text itself: so are dates, of which no
    setting is one but which name folders."""
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text
    return text if isinstance(value, date | time) else value


def _explain(item: Any) -> str:
    flag = "--" + str(item["loc"][0] if item["loc"] else "").replace("_", "-")
    if item["type"] == "missing":
        return f"{flag} is required"
    message = str(item["msg"]).removeprefix("Value error, ")
    return message if message.startswith("--") else f"{flag} {_short(item['input'])}: {message[0].lower()}{message[1:]}"


def _short(given: Any) -> str:
    """What was given, in a line that can be read."""
    try:
        text = str(given)
    except (ValueError, RecursionError):  # too many digits, too deep
        text = f"a {type(given).__name__}"
    text = " ".join(text.split())
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _extra(info: Any) -> dict[str, Any]:
    return info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
