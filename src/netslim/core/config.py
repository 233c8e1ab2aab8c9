"""Typed configuration of a stage; all mistakes in it are reported together."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self, TypeVar, get_args

import pydantic
from pydantic import BaseModel, ConfigDict

from netslim.core.errors import ArgumentError, UsageError, unknown_name
from netslim.core.numbers import meant
from netslim.core.overwrites import Use
from netslim.core.plugins.declarations import Option
from netslim.core.runs.file_names import METRICS, PAGE, PLAN, RECORD


def Setting(  # noqa: N802
    default: Any = ...,
    help: str = "",
    *,
    group: str = "",
    free: bool = False,
    added: bool = False,
    aliases: Sequence[str] = (),
    reads: bool | str | Sequence[str] = False,
    writes: bool | Sequence[str] = False,
    **limits: Any,
) -> Any:
    """A field of a stage's configuration.

    Args:
        default: the value when nothing is given; `...` if it must be.
        help: one line that says what it is.
        group: heading that it stands under in a long help.
        free: the setting does not change the result (progress, paths), so that a run may go on with another value.
        added: it came later: a run that was recorded without it had its default.
        aliases: further names where settings are typed (`-sr`).
        reads: it names a file (or several) that is read: no output may lie on it; "own": unless it lies in the folder
            of the run itself. Where it can be a folder, the names and patterns of what is read in it.
        writes: it names a file that is written; or, of a folder, the names and patterns of the files written there.
        limits: pydantic's constraints (`ge`, `lt`, ...).
    """
    extra: dict[str, Any] = {
        "free": free,
        "option": added,
        "aliases": list(aliases),
        "group": group,
        "reads": bool(reads),
        "own": reads == "own",
        "writes": bool(writes),
        "names": [] if isinstance(writes, bool) else list(writes),
        "reads_in": [] if isinstance(reads, bool | str) else list(reads),
    }
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
                setting = Setting(option.default, f"{kind} {owner}: {option.help}", group=kind.capitalize(), **limits)
                setting.json_schema_extra["option"] = True
                fields[option.name] = (type(option.default), setting)
        made = pydantic.create_model(
            config_class.__name__, __base__=config_class, __module__=config_class.__module__, **fields
        )
        made.__doc__ = config_class.__doc__
        return made

    return complete


IN_FOLDERS = tuple(  # what is read in folders of runs and of exports
    f"{folder}{name}"
    for folder in ("", "*/")
    for name in (
        *("*.pth.tar", RECORD, METRICS, PLAN, "step.json", "slim.json", "recipe.toml", "*.csv"),
        *("config.json", "network.py", "*.safetensors", "*.onnx", "*.xml", "*.bin"),
    )
)
RUN_FILES = (RECORD, METRICS, PAGE, ".lock")  # in the folder of every run
SHOWN = 100  # characters of a value in a message
LARGEST_FLOAT = 1e30


class StageConfig(BaseModel):
    """Base of all stages' configurations: frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @pydantic.field_validator("*", mode="before")
    @classmethod
    def _no_number(cls, value: Any, info: pydantic.ValidationInfo) -> Any:
        """True and false are no numbers: `lr=true` is not a rate of 1."""
        kind = cls.model_fields[str(info.field_name)].annotation
        if isinstance(value, bool) and bool not in (kind, *get_args(kind)):
            raise ValueError("input should be no true or false")
        return value

    @pydantic.field_validator("*", mode="before")
    @classmethod
    def _some_path(cls, value: Any, info: pydantic.ValidationInfo) -> Any:
        """An empty path would be this folder: what a shell makes of a variable that is not set."""
        kind = cls.model_fields[str(info.field_name)].annotation
        if value == "" and Path in (kind, *get_args(kind)):
            raise ValueError("input should be a path (this folder is .)")
        return value

    @pydantic.field_validator("*", mode="after")
    @classmethod
    def _at_home(cls, value: Any) -> Any:
        """`~` is the home folder in files of settings, too, where no shell reads it."""
        if isinstance(value, list):
            return [cls._at_home(each) for each in value]
        with suppress(RuntimeError):  # nobody of that name: the path is taken as it is
            return value.expanduser() if isinstance(value, Path) else value
        return value

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

    def refuse(self, names: Iterable[str], why: str) -> None:
        """Raises ArgumentError with the reason if one of these settings has another value than its default."""
        for name in names:
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ArgumentError(name, getattr(self, name), why)

    def reads(self) -> list[Use]:
        """The files that its settings name and that are read."""
        return [use for name in type(self).model_fields for use in self._uses(name, "reads")]

    def keeps(self) -> list[Use]:
        """All that no output may lie on: what is read, and what else the work depends on, such as images and code."""
        return [*self.reads(), *(Use(setting=use.setting, path=path) for use in self.reads() for path in _beside(use))]

    def writes(self) -> list[Use]:
        """The files and folders that its settings name and that are written."""
        return [use for name in type(self).model_fields for use in self._uses(name, "writes")]

    def _uses(self, name: str, kind: str) -> list[Use]:
        extra, value = _extra(type(self).model_fields[name]), getattr(self, name)
        if not extra.get(kind) or value is None:
            return []
        paths = value if isinstance(value, list) else [value]
        names = tuple(extra["names" if kind == "writes" else "reads_in"])
        return [
            Use(setting=name, path=path, names=names if kind == "writes" or path.is_dir() else (), own=extra["own"])
            for path in paths
        ]

    def notes(self) -> list[str]:
        """What to say to somebody who typed these settings; a recipe's steps share theirs, and are told nothing."""
        return []

    def fixed(self) -> dict[str, Any]:
        """The settings that determine the result, as plain data."""
        free = {name for name, info in type(self).model_fields.items() if _extra(info).get("free")}
        return self.model_dump(mode="json", exclude=free)

    def changed(self) -> dict[str, Any]:
        """The settings that differ from their defaults, as plain data: what somebody typed to get this run."""
        fields, values = type(self).model_fields, self.model_dump(mode="json")
        return {name: values[name] for name, info in fields.items() if getattr(self, name) != info.default}

    @classmethod
    def option_defaults(cls) -> dict[str, Any]:
        """The settings that plug-ins brought, or that came later: a run that was recorded before had the default."""
        return {name: info.default for name, info in cls.model_fields.items() if _extra(info).get("option")}


def _beside(use: Use) -> list[Path]:
    """Files that belong to a file that is read: weights beside an ONNX or OpenVINO file."""
    path = use.path
    weights = {".onnx": f"{path.name}.data", ".xml": f"{path.stem}.bin"}.get(path.suffix.lower())
    return [path.with_name(weights)] if weights and not use.names else []


def _explain(item: Any) -> str:
    field = str(item["loc"][0]) if item["loc"] else ""
    if item["type"] == "missing":
        return f"`{field}` is required"
    message = str(item["msg"]).removeprefix("Value error, ")
    message = f"{message[0].lower()}{message[1:]}{meant(item['input'])}"
    return str(ArgumentError(field, _short(item["input"]), message))


def _short(given: Any) -> Any:
    """What was given, in a line that can be read."""
    try:
        text = " ".join(str(given).split())
    except (ValueError, RecursionError):  # too many digits, too deep
        return f"a {type(given).__name__}"
    return given if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _extra(info: Any) -> dict[str, Any]:
    return info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
