"""One recipe over several seeds and values: what differs, and where each step of each lies.

What the variants have in common is done once. A seed counts from the first step on, a swept setting from its own
step on; so folders of these are inside of each other in this order, and earlier steps lie above them.
"""

import itertools
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netslim.core.errors import ArgumentError, UsageError
from netslim.stages.shared.lists import listed
from netslim.stages.slim.recipe import BUDGETS, Recipe
from netslim.stages.slim.settings import Planned, folder_names, planned

LARGEST = 200  # variants


@dataclass(frozen=True, kw_only=True)
class Axis:
    """A setting and the values that it takes in turns.

    Attributes:
        key: `seed`, or STEP.SETTING.
        values: at least one, all different.
        first: number of the first step that it changes, from 0.
    """

    key: str
    values: tuple[Any, ...]
    first: int

    def label(self, value: Any) -> str:
        """Name of the folder of a value: `prune-percent-0.3`; with a number where an earlier value has the same."""
        found: dict[str, Any] = {}
        for each in self.values:
            plain = self._plain(each)
            names = itertools.chain([plain], (f"{plain}-{number}" for number in itertools.count(2)))
            found[next(name for name in names if name not in found)] = each
        return next(name for name, each in found.items() if each == value)

    def _plain(self, value: Any) -> str:
        text = f"{self.key}-{value}".replace(".", "-", 1 if "." in self.key else 0)
        return "".join(letter if letter.isalnum() or letter in "-_.+" else "_" for letter in text)

    def in_recipe(self, recipe: Recipe, value: Any) -> Recipe:
        """The recipe with this value."""
        return recipe.with_shared({"seed": value}) if self.key == "seed" else recipe.with_settings({self.key: value})


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way through the recipe.

    Attributes:
        values: what it is of, by key.
        folder: of its own results.
        steps: at their places.
    """

    values: Mapping[str, Any]
    folder: Path
    steps: list[Planned]

    @property
    def said(self) -> str:
        """`seed 2, prune.percent 0.5`; nothing where there is only one way."""
        return ", ".join(f"{key} {value}" for key, value in self.values.items())


def axes_of(recipe: Recipe, seeds: str | None, sweep: list[str], said: Iterable[str] = ()) -> list[Axis]:
    """What differs between the variants, in the order of the steps that it changes.

    Args:
        recipe: of all variants.
        seeds: numbers with commas between.
        sweep: STEP.SETTING=VALUES, each.
        said: settings of steps (STEP.SETTING) that were given one value.

    Raises:
        ArgumentError: seeds that are no numbers, a sweep that is none, or one of what has a value or another budget.
        UsageError: an unknown step or setting.
    """
    axes = [Axis(key="seed", values=_seeds(seeds), first=0)] if seeds is not None else []
    names = [step.name for step in recipe.steps]
    for text in sweep:
        key, values = _swept(text)
        try:
            for value in values:
                recipe.with_settings({key: value})
        except UsageError as error:
            raise ArgumentError("sweep", text, str(error)) from error
        for axis in axes:
            _check_together(text, key, axis.key, "swept")
        for other in said:
            _check_together(text, key, _key(other), "set")
        axes.append(Axis(key=key, values=values, first=names.index(key.partition(".")[0])))
    return sorted(axes, key=lambda axis: axis.first)


def variants_of(recipe: Recipe, axes: list[Axis], root: Path) -> list[Variant]:
    """All combinations, in an order in which what two have in common is done by the first. Raises UsageError."""
    found = []
    for values in itertools.product(*(axis.values for axis in axes)):
        changed, folders = recipe, folder_names(recipe)
        places = dict.fromkeys(folders, root)
        for axis, value in zip(axes, values, strict=True):
            changed = axis.in_recipe(changed, value)
            for step in recipe.steps[axis.first :]:
                places[step.name] = places[step.name] / axis.label(value)
        last = places[recipe.steps[-1].name]
        steps = planned(changed, {name: places[name] / folder for name, folder in folders.items()})
        given = {axis.key: value for axis, value in zip(axes, values, strict=True)}
        found.append(Variant(values=given, folder=last, steps=steps))
        if len(found) > LARGEST:
            raise UsageError(f"more than {LARGEST} variants: type fewer `seeds` or values to `sweep`")
    return found


def _seeds(text: str) -> tuple[int, ...]:
    try:
        found = tuple(int(part) for part in listed(text))
    except ValueError:
        found = ()
    if not found or len(set(found)) < len(found) or min(found) < 0:
        allowed = "different whole numbers from 0 on, with commas between; type `seeds='1,2,3'`"
        raise ArgumentError("seeds", text, allowed if text.strip() else f"{allowed}, or leave it out")
    return found


def _swept(text: str) -> tuple[str, tuple[Any, ...]]:
    key, equals, values = text.partition("=")
    found = tuple(_value(part) for part in listed(values) if part)
    if not equals or "." not in key or not found or len(set(found)) < len(found):
        raise ArgumentError(
            "sweep", text, "STEP.SETTING with different values, such as `sweep=['prune.percent=0.3,0.5,0.7']`"
        )
    return _key(key), found


def _key(text: str) -> str:
    """STEP.SETTING as settings are called in Python."""
    step, _, setting = text.strip().partition(".")
    return f"{step}.{setting.replace('-', '_')}"


def _check_together(text: str, key: str, other: str, how: str) -> None:
    if other == key:
        raise ArgumentError("sweep", text, f"{key} is {how} already; type all of its values in one `sweep` alone")
    (step, _, setting), (others, _, another) = key.partition("."), other.partition(".")
    if step == others and {setting, another} <= set(BUDGETS):
        raise ArgumentError(
            "sweep", text, f"{step} has one budget, and {other} is {how} already; leave one of them out"
        )


def _value(text: str) -> Any:
    try:
        found = tomllib.loads(f"value = {text}")["value"]
    except ValueError:
        return text
    return found if isinstance(found, bool | int | float | str) else text
