"""Typed configuration of a stage: defaults < config file < `--set` < flags, and all mistakes reported together."""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from datetime import date, time
from pathlib import Path
from typing import Any, Self, TypeVar

import pydantic
from pydantic import BaseModel, ConfigDict

from netslim.core.errors import UsageError, unknown_name
from netslim.core.plugins import Option


def Setting(default: Any = ..., help: str = "", *, free: bool = False, flags: Sequence[str] = (), **limits: Any) -> Any:  # noqa: N802
    """A field of a stage's configuration.

    Args:
        default: the value when nothing is given; `...` if it must be.
        help: one line for `--help`.
        free: the setting does not change the result (progress, paths), so that a run may go on with another value.
        flags: further names on the command line (`-sr`).
        limits: pydantic's constraints (`ge`, `lt`, ...).
    """
    extra: dict[str, Any] = {"free": free, "flags": list(flags)}
    return pydantic.Field(default, description=help, json_schema_extra=extra, **limits)


C = TypeVar("C", bound=BaseModel)


def with_options(options: Mapping[str, Sequence[Option]], kind: str) -> Callable[[type[C]], type[C]]:
    """Class decorator: adds the settings that plug-ins bring along, so that they have a flag each and are checked.

    Args:
        options: by plug-in.
        kind: what the plug-ins are, for help texts ("penalty").

    Raises:
        ValueError: a plug-in brings a setting that there is.
    """

    def complete(config_class: type[C]) -> type[C]:
        fields: dict[str, Any] = {}
        for owner, own in options.items():
            for option in own:
                if option.name in fields or option.name in config_class.model_fields:
                    raise ValueError(f"{kind} {owner} brings the setting '{option.name}', which there is: rename it")
                limits: dict[str, Any] = {**option.limits}
                setting = Setting(option.default, f"{kind} {owner}: {option.help}", **limits)
                setting.json_schema_extra["option"] = True
                fields[option.name] = (type(option.default), setting)
        made = pydantic.create_model(
            config_class.__name__, __base__=config_class, __module__=config_class.__module__, **fields
        )
        made.__doc__ = config_class.__doc__
        return made

    return complete


class StageConfig(BaseModel):
    """Base of all stages' configurations: frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

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

    def fixed(self) -> dict[str, Any]:
        """The settings that determine the result, as plain data."""
        free = {name for name, info in type(self).model_fields.items() if _extra(info).get("free")}
        return self.model_dump(mode="json", exclude=free)

    @classmethod
    def option_defaults(cls) -> dict[str, Any]:
        """The settings that plug-ins brought along: a run that was recorded before one came had its default."""
        return {name: info.default for name, info in cls.model_fields.items() if _extra(info).get("option")}


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
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read the config file {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from error
    return {_name(key): value for key, value in data.items()}


def _name(key: str) -> str:
    return key.strip().replace("-", "_")


def _value(text: str) -> Any:
    """TOML's reading of a value where it has one (`0.1`, `true`), else the text itself: so are dates, of which no
    setting is one but which name folders."""
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    return text if isinstance(value, date | time) else value


def _explain(item: Any) -> str:
    flag = "--" + str(item["loc"][0] if item["loc"] else "").replace("_", "-")
    if item["type"] == "missing":
        return f"{flag} is required"
    message = str(item["msg"]).removeprefix("Value error, ")
    return message if message.startswith("--") else f"{flag} {item['input']}: {message[0].lower()}{message[1:]}"


def _extra(info: Any) -> dict[str, Any]:
    return info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
