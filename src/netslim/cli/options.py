"""Command-line options made from a configuration class: one flag per field, with its help and default."""

import inspect
import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import typer
import typer.core
from pydantic.fields import FieldInfo

from netslim.cli.config_file import merge
from netslim.cli.flags import flag_of, further_flags, group_of
from netslim.core.config import StageConfig
from netslim.core.errors import ArgumentError, UsageError, setting

SECTIONED = 15  # more settings than these are shown in sections
ENDS = ("Run", "Options")  # the last of these


class Sections(typer.core.TyperCommand):
    """A command whose help has the settings under headings, if they are many."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """`--arch-args a=1 b=2` is `--arch-args a=1 --arch-args b=2`."""
        lists = {flag for each in self.params if getattr(each, "multiple", False) for flag in each.opts}
        return super().parse_args(ctx, _repeated(args, lists))

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """The arguments, then the options of each section."""
        sections: dict[str, list[Any]] = {"Arguments": []}
        parameters = self.get_params(ctx)
        for parameter in parameters:
            record = parameter.get_help_record(ctx)
            if record is not None:
                record = _plain(*record)
                many = len(parameters) > SECTIONED
                heading = (getattr(parameter, "rich_help_panel", None) if many else None) or "Options"
                named = "Arguments" if parameter.param_type_name == "argument" else heading
                sections.setdefault(named, []).append(record)
        for heading in sorted(sections, key=lambda heading: heading in ENDS and ENDS.index(heading) + 1):
            if sections[heading]:
                with formatter.section(heading):
                    formatter.write_dl(sections[heading])


ConfigFile = Annotated[
    Path | None, typer.Option("--config", metavar="FILE.toml", help="settings from a file; flags go before it")
]
Assignments = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="one setting by name; may be repeated")
]
JsonFile = Annotated[str | None, typer.Option("--json", metavar="FILE", help="write what was printed as data, too")]
Debug = Annotated[bool, typer.Option("--debug", help="show the traceback of an error")]


def command(
    config_class: type[StageConfig],
    act: Callable[[Callable[[], StageConfig], Path | None, bool, Path | None], None],
    positional: Sequence[str] = (),
) -> Callable[..., None]:
    """A typer command with one option per field of `config_class`, plus --config, --set, --json and --debug.

    Args:
        config_class: the stage's configuration.
        act: called with a function that gives the validated configuration, the JSON file, the debug flag and the
            config file.
        positional: fields given as arguments instead of options.
    """

    def run(**given: Any) -> None:
        config_file, assignments = given.pop("config"), given.pop("set_")
        json_text, debug = given.pop("json_file"), given.pop("debug")
        flags = {
            name: value for name, value in given.items() if value is not None and (value != [] or name in positional)
        }

        def build() -> StageConfig:
            if json_text == "":
                raise ArgumentError("json", json_text, f"it is empty; type {setting('json', 'result.json')}")
            values = merge(config_file, assignments or [], flags)
            for name, info in fields.items():
                if name in values or not info.is_required():
                    continue
                if name not in positional:
                    raise UsageError(f"`{name}` is required: {info.description}")
                what = "folder of a run" if name == "folders" else "checkpoint file"
                raise UsageError(f"{name.upper()} is required: name a {what}")
            return config_class.build(values)

        act(build, Path(json_text) if json_text else None, debug, config_file)

    fields = config_class.model_fields
    parameters = [_parameter(name, info, name in positional) for name, info in fields.items()]
    for name, annotation, default in (
        ("config", ConfigFile, None),
        ("set_", Assignments, None),
        ("json_file", JsonFile, None),
        ("debug", Debug, False),
    ):
        parameters.append(
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        )
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__doc__ = config_class.__doc__
    return run


def _plain(names: str, text: str) -> tuple[str, str]:
    """A line of help without Python's types, and without the `--no-` of a switch that is off: no default is said."""
    names = re.sub(r"<list\[(\w+)\]>", lambda found: f"<{found[1].lower()}> ...", names)
    return (names.split(" / ")[0] if "default:" not in text else names), text


def _repeated(args: Sequence[str], lists: set[str]) -> list[str]:
    """Repeats a flag before every further `key=value` that follows it."""
    found: list[str] = []
    flag = ""
    for before, word in pairwise(["", *args]):
        if word.startswith("-"):
            flag = word if word in lists else ""
        elif flag and before != flag:
            if "=" not in word:
                flag = ""
            else:
                found.append(flag)
        found.append(word)
    return found


def _parameter(name: str, info: FieldInfo, positional: bool) -> inspect.Parameter:
    """None means `not given`: only then do the config file and the defaults count."""
    kind = _plain_type(info.annotation)
    text = info.description if info.is_required() else f"{info.description}{_shown(info.default)}"
    if positional:
        option: Any = typer.Argument(help=text, show_default=False, metavar=name.upper())
        kind = str if kind is Path else kind  # an empty word is no folder
    else:
        later = kind in (int, float, Path)  # read where all settings are, so that a mistake is told with the others
        option = typer.Option(
            *_flags(name, info, kind),
            help=text,
            show_default=False,
            rich_help_panel=group_of(info) or None,
            metavar=f"<{kind.__name__.lower()}>" if later else None,
        )
        kind = str if later else kind
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, option]
    )


def _flags(name: str, info: FieldInfo, kind: type) -> list[str]:
    flag = flag_of(name)
    if kind is not bool:
        return [flag, *further_flags(info)]
    return [f"{flag}/{flag_of(f'no_{name}')}", *further_flags(info)]


def _plain_type(annotation: Any) -> type:
    if get_origin(annotation) is list:
        return annotation  # type: ignore[no-any-return]
    kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
    kind: type = kinds[0] if kinds else annotation
    return kind


def _shown(default: Any) -> str:
    if default is None or default is False or default == []:
        return ""
    return f" [default: {'yes' if default is True else default}]"
