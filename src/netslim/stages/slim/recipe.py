"""A recipe: a list of steps, each a verb with its settings and the file that it starts from. TOML in and out."""

import dataclasses
import json
import re
import tomllib
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netslim.core.errors import UsageError, nearest, one_of, setting, unknown_name
from netslim.core.files import read_text
from netslim.stages.shared.config import TaskConfig
from netslim.stages.slim.step_kinds import KINDS, StepKind

VERSION = 1  # of the format
FILE = "recipe.toml"  # in the folder of a run
SHARED = ("dataset", *TaskConfig.model_fields, "seed")  # settings of every step that has them
BUDGETS = ("percent", "target_params", "target_macs", "target_latency")
STARTS = ("resume", "refine", "model", "files")  # settings that `from` stands for
LARGEST_FILE = 2**20  # bytes
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class Step:
    """One verb with its settings.

    Attributes:
        name: its own in the recipe; its folder is called after it.
        verb: what it does: one of `KINDS`.
        starts: names of earlier steps, or paths of files, that it starts from.
        settings: those of the verb that are not at their defaults.
        file: that it was read from.
    """

    name: str
    verb: str
    starts: tuple[str, ...] = ()
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    file: Path | None = dataclasses.field(default=None, compare=False)

    @property
    def place(self) -> str:
        """Where messages say that something is wrong: `my.toml: step 'small'`."""
        return f"{f'{self.file}: ' if self.file else ''}step '{self.name}'"

    @property
    def kind(self) -> StepKind:
        """What its verb needs."""
        return KINDS[self.verb]

    def to_dict(self) -> dict[str, Any]:
        """As it stands in TOML."""
        begins = {"from": list(self.starts) if self.kind.several else self.starts[0]} if self.starts else {}
        return {"name": self.name, "verb": self.verb, **begins, **self.settings}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Steps in their order, and the settings that they share."""

    shared: Mapping[str, Any]
    steps: tuple[Step, ...]

    def to_dict(self) -> dict[str, Any]:
        """As it stands in TOML."""
        return {"version": VERSION, **self.shared, "step": [step.to_dict() for step in self.steps]}

    def step(self, name: str) -> Step:
        """The step of a name. Raises UsageError with the nearest ones."""
        for step in self.steps:
            if step.name == name:
                return step
        raise unknown_name("step", name, [step.name for step in self.steps])

    def is_pruned(self, name: str) -> bool:
        """Whether the network that a step leaves was pruned by it or before it; of a file that is not known."""
        found = next((step for step in self.steps if step.name == name), None)
        if found is None:
            return False
        return found.verb == "prune" or any(self.is_pruned(start) for start in found.starts)

    def with_shared(self, values: Mapping[str, Any]) -> "Recipe":
        """The recipe with these settings shared, whatever it said of them."""
        return dataclasses.replace(self, shared={**self.shared, **values})

    def with_settings(self, values: Mapping[str, Any]) -> "Recipe":
        """The recipe with some settings of steps (`prune.percent` -> 0.4); a budget takes the place of another one.

        Raises:
            UsageError: no such step or setting, or two budgets for one step.
        """
        changed = {step.name: dict(step.settings) for step in self.steps}
        budgets: dict[str, str] = {}  # by step
        for key, value in values.items():
            name, _, setting = key.partition(".")
            step, setting = self.step(name), setting.replace("-", "_")
            _check_setting(step.name, step.kind, setting)
            if setting in BUDGETS:
                if budgets.setdefault(name, setting) != setting:
                    raise UsageError(
                        f"step '{name}' has one budget, and {budgets[name]} and {setting} are set: type one"
                    )
                changed[name] = {other: own for other, own in changed[name].items() if other not in BUDGETS}
            changed[name][setting] = value
        steps = tuple(dataclasses.replace(step, settings=changed[step.name]) for step in self.steps)
        return dataclasses.replace(self, steps=steps)


def read_recipe(path: Path) -> Recipe:
    """The recipe in a file.

    Raises:
        UsageError: the file can't be read, is no recipe, or has a mistake; every message names the step.
    """
    if path.is_file() and zipfile.is_zipfile(path):
        raise UsageError(f"{path} is a network's file and no recipe: type {setting('checkpoint', path)}")
    try:
        data = tomllib.loads(read_text(path, LARGEST_FILE))
    except OSError as error:
        inside = f"; type {path / FILE}" if (path / FILE).is_file() else ""
        raise UsageError(f"cannot read the recipe {path}: {error.strerror or error}{inside}") from error
    except (ValueError, RecursionError) as error:  # TOMLDecodeError, UnicodeDecodeError
        raise UsageError(f"{path} is not valid TOML: {error}") from error
    try:
        recipe = recipe_of(data)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    return dataclasses.replace(recipe, steps=tuple(dataclasses.replace(step, file=path) for step in recipe.steps))


def recipe_of(data: Mapping[str, Any]) -> Recipe:
    """A recipe from what stands in TOML. Raises UsageError for what is wrong with it."""
    _check_version(data.get("version", VERSION))
    steps = data.get("step")
    if not isinstance(steps, list) or not steps or not all(isinstance(step, dict) for step in steps):
        raise UsageError(
            "no recipe: it has no [[step]]; `netslim recipe new FILE` writes one, and settings of a single verb are "
            "given as netslim train --config FILE"
        )
    shared = {key.replace("-", "_"): value for key, value in data.items() if key not in ("version", "step")}
    for key in shared:
        if key not in SHARED:
            raise _unknown_at_the_top(key)
    found: list[Step] = []
    for number, each in enumerate(steps, 1):
        found.append(_step(number, each, found))
    return Recipe(shared=shared, steps=tuple(found))


def to_toml(recipe: Recipe, comment: str = "") -> str:
    """The recipe as TOML that `read_recipe` reads, with a comment of some lines above it."""
    data = recipe.to_dict()
    lines = [f"# {line}" for line in comment.splitlines()]
    lines += [f"{key} = {_literal(value)}" for key, value in data.items() if key != "step"]
    for step in data["step"]:
        lines += ["", "[[step]]", *(f"{key} = {_literal(value)}" for key, value in step.items())]
    return "\n".join(lines) + "\n"


def _literal(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, str | Path):
        return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)


def is_of_steps(key: str) -> bool:
    """Whether a verb that can be a step has this setting."""
    return any(key in kind.stage.settings().model_fields for kind in KINDS.values())


def _check_version(version: object) -> None:
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise UsageError(f"version = {version!r}: the version of the format is a number; type version = {VERSION}")
    if version > VERSION:
        raise UsageError(
            f"a recipe of version {version}, and this netslim knows version {VERSION}: install a newer netslim"
        )


def _unknown_at_the_top(key: str) -> UsageError:
    if is_of_steps(key):
        return UsageError(f"'{key}' is a setting of single steps: write it below a [[step]] (shared: {one_of(SHARED)})")
    return unknown_name("setting", key, SHARED)


def _step(number: int, data: Mapping[str, Any], before: Sequence[Step]) -> Step:
    verb = data.get("verb")
    if verb is None:
        raise UsageError(f"step {number} has no verb: type verb = one of {one_of(KINDS)}")
    if not isinstance(verb, str) or verb not in KINDS:
        raise unknown_name("verb", verb, KINDS)
    name = data.get("name", verb)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise UsageError(f"step {number} is called {name!r}: letters, digits, - and _ in quotes make a name")
    if any(step.name.lower() == name.lower() for step in before):
        raise UsageError(f"two steps are called '{name}' and would share a folder: type another name = for the second")
    given = {key.replace("-", "_"): value for key, value in data.items() if key not in ("name", "verb", "from")}
    for key in given:
        _check_setting(name, KINDS[verb], key)
    return Step(name=name, verb=verb, starts=_starts(name, KINDS[verb], data.get("from"), before), settings=given)


def _check_setting(step: str, kind: StepKind, setting: str) -> None:
    """Raises UsageError for a setting that the verb does not have, or that the recipe itself sees to."""
    fields = kind.stage.settings().model_fields
    if setting == "from":
        raise UsageError(f"step '{step}': what it starts from stands in the recipe; write it there")
    if setting not in fields:
        known = [name for name in fields if name not in STARTS and not _extra(fields[name])["writes"]]
        raise UsageError(f"step '{step}': {unknown_name('setting', setting, [*known, 'from'])}")
    if setting in STARTS:
        raise UsageError(f"step '{step}': what it starts from is from = \"STEP\"; leave {setting} out")
    if _extra(fields[setting])["writes"]:
        raise UsageError(f"step '{step}': every step writes into a folder of its own; leave {setting} out")


def _extra(info: Any) -> dict[str, Any]:
    found: dict[str, Any] = info.json_schema_extra
    return found


def _starts(name: str, kind: StepKind, given: Any, before: Sequence[Step]) -> tuple[str, ...]:
    starts = tuple(given) if isinstance(given, list) else () if given is None else (given,)
    if not all(isinstance(start, str) and start for start in starts):
        raise UsageError(f"step '{name}': from = {given!r}: the name of a step, or a file")
    if starts and not kind.start:
        raise UsageError(f"step '{name}' starts from a library's network: leave from out")
    if len(starts) > 1 and not kind.several:
        raise UsageError(f"step '{name}' starts from one network, not from {len(starts)}: type from = \"{starts[0]}\"")
    if not starts and kind.needed and kind.start:
        raise UsageError(f"step '{name}' needs a network: type from = \"STEP\" ({_known(before)}) or a file")
    for start in starts:
        if wrong := wrong_start(start, before):
            raise UsageError(f"step '{name}' starts from {wrong}")
    return starts


def wrong_start(start: str, before: Sequence[Step]) -> str:
    """What is wrong with a start, for a message: no step before leaves such a network, and no such file is there.

    Empty if nothing is.
    """
    if is_file(start):
        return "" if Path(start).is_file() else f"{start}, and there is no such file"
    step = next((step for step in before if step.name == start), None)
    if step is None:
        near = nearest(start, [each.name for each in before])
        meant = f"; did you mean {' or '.join(near)}?" if near else ""
        return f"'{start}', which no step before it makes{meant} ({_known(before)}; of a file type the path)"
    return "" if step.kind.network else f"'{start}', which leaves no network ({_known(before)})"


def is_file(start: str) -> bool:
    """Whether a start is the path of a file, not the name of a step."""
    return not _NAME.fullmatch(start)


def _known(before: Sequence[Step]) -> str:
    makers = [step.name for step in before if step.kind.network]
    return f"steps before it: {one_of(makers)}" if makers else "no step before it leaves one"
