"""Which of a network's channel groups a plan is about: those that a criterion scores and that the patterns choose."""

import difflib
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import nn

from netslim.core.errors import UsageError, first_of, one_of, setting
from netslim.core.protocols import ChannelGroup, GroupPlan, LeftAlone, plan_of
from netslim.dependency.groups import BoundGroup, Grouping, title
from netslim.pruning.criteria import CRITERIA, without_scales

SHOWN = 5
_UNSCORED = "has no BatchNorm that scores it"


@dataclass(frozen=True)
class Candidates:
    """The groups of a plan.

    Attributes:
        groups: those that the plan names, in network order.
        chosen: the numbers of those from which channels may go.
        left_alone: the channels that no plan removes, and why.
    """

    groups: tuple[BoundGroup, ...]
    chosen: tuple[int, ...]
    left_alone: tuple[LeftAlone, ...]

    @functools.cached_property
    def scored(self) -> list[BoundGroup]:
        """The groups from which channels may go."""
        return [self.groups[number] for number in self.chosen]


def pruned_before(model: nn.Module, found: Grouping) -> dict[str, GroupPlan]:
    """By name, the groups of the plan that the network was pruned by. Raises UsageError if they are no groups now."""
    done = plan_of(model)
    if done is None:
        return {}
    names = {own.group.name for own in found.groups}
    left = [part.name for part in done.groups if part.keep]
    traced = found.derivation is not None
    if done.traced != traced or not (traced or names.issuperset(left)):
        form = "couple" if done.traced else "select"
        raise UsageError(
            f"{title(model)} was pruned by other channel groups before; type {setting('residual', form)} again"
        )
    return {part.name: part for part in done.groups}


def candidates(
    model: nn.Module,
    found: Grouping,
    criterion: str,
    done: Mapping[str, GroupPlan],
    patterns: tuple[Sequence[str], Sequence[str]] = ((), ()),
) -> Candidates:
    """The groups that the criterion scores and the patterns choose, and what is left alone.

    Args:
        model: the network.
        found: its channel groups.
        criterion: name of the criterion.
        done: the plan that the network was pruned by.
        patterns: of the groups that are chosen (all if there are none), and of those that are not.

    Raises:
        UsageError: there are none, or a pattern matches nothing.
    """
    groups, left = _scored(model, found, criterion, done)
    only, ignore = (_patterns(field, given) for field, given in zip(("only", "ignore"), patterns, strict=True))
    names = [_names(own.group) for own in groups]
    for pattern in only:
        _check_pattern("only", pattern, names)
    for pattern in ignore:
        _check_pattern("ignore", pattern, [*names, {name for name, _ in model.named_modules()}])
    chosen = []
    for number, (each, known) in enumerate(zip(groups, names, strict=True)):
        against = next((pattern for pattern in ignore if _matches(pattern, known)), None)
        if not _is_scored(each, criterion):  # another criterion took channels of it before
            left.append(LeftAlone(name=each.group.name, channels=each.width, reason=_UNSCORED))
        elif against is None and (not only or any(_matches(pattern, known) for pattern in only)):
            chosen.append(number)
        else:
            reason = "is not in `only`" if against is None else f"matches {setting('ignore', against)}"
            left.append(LeftAlone(name=each.group.name, channels=each.width, reason=reason))
    if not chosen:
        raise UsageError("`only` and `ignore` together leave no channels that can go; drop one of the patterns")
    return Candidates(tuple(groups), tuple(chosen), tuple(left))


def _scored(
    model: nn.Module, found: Grouping, criterion: str, done: Mapping[str, GroupPlan]
) -> tuple[list[BoundGroup], list[LeftAlone]]:
    """The groups that the criterion scores, and what is left alone. Raises UsageError if there are none."""
    if found.derivation is None:
        return list(found.groups), []
    groups, left = [], list(found.left_alone)
    for own in found.groups:
        group, channels = own.group, own.width
        if group.name in done or (channels > 1 and _is_scored(own, criterion)):
            groups.append(own)
        else:
            reason = "can only go as a whole" if channels == 1 else _UNSCORED
            left.append(LeftAlone(name=group.name, channels=channels, reason=reason))
    if any(_is_scored(own, criterion) for own in groups):
        return groups, left
    if CRITERIA.get(criterion).needs_scales and (
        not found.derivation.trace.scales or any(own.width > 1 for own in found.groups)
    ):
        where = " on channels that can go" if found.derivation.trace.scales else ""
        raise UsageError(
            f"{title(model)} has no BatchNorm{where}, whose scales criterion '{criterion}' reads; "
            f"criteria that work without: {one_of(without_scales())}"
        )
    reasons = first_of([f"{part.name} {part.reason}" for part in left], SHOWN, "; ")
    reason = _prepared(model) or reasons or _without_layers(model)
    raise UsageError(f"{title(model)} has no channels that can go: {reason}")


def _prepared(model: nn.Module) -> str:
    """What to do with a network that is prepared for quantisation."""
    for name, module in model.named_modules():
        if hasattr(module, "weight_fake_quant"):
            return f"the weights of '{name}' pass through fake quantisation; prune first, and prepare the small network"
    return ""


def _without_layers(model: nn.Module) -> str:
    """Why nothing in a network gives channels."""
    if any(parameter.is_complex() for parameter in model.parameters()):
        return "its weights are complex numbers, whose channels are not followed; pairs of real ones' are"
    return "no layer of it gives any"


def _is_scored(own: BoundGroup, criterion: str) -> bool:
    return bool(own.group.scales) or not CRITERIA.get(criterion).needs_scales


def _names(group: ChannelGroup) -> set[str]:
    """What a pattern can call a group: its name, the modules that give its channels, and what these are parts of."""
    modules = {*group.scales, *group.producers, *([group.selection] if group.selection else [])}
    modules |= {part.tensor.rpartition(".")[0] for part in group.slices if part.produces}
    parts = [name.split(".") for name in modules]
    return {group.name} | {".".join(words[:depth]) for words in parts for depth in range(1, len(words) + 1)}


def _matches(pattern: str, names: set[str]) -> bool:
    return any(fnmatchcase(name, pattern) for name in names)


def _patterns(field: str, given: Sequence[str] | None) -> list[str]:
    """What was given as a list; a string is read as on the command line, with commas between."""
    patterns = given.split(",") if isinstance(given, str) else [*(given or ())]
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise UsageError(
                f"{setting(field, pattern)}: patterns are names of layers like 'layer1' or '*.conv2', and this is of "
                f"type {type(pattern).__name__}"
            )
    return [pattern.strip() for pattern in patterns]


def _check_pattern(field: str, pattern: str, names: Sequence[set[str]]) -> None:
    """Raises UsageError, with the nearest names, if nothing matches."""
    if any(_matches(pattern, own) for own in names):
        return
    known = sorted(set().union(*names) - {""})  # the network itself
    near = difflib.get_close_matches(pattern, known, n=3, cutoff=0.4) or known[:3]
    raise UsageError(
        f"{setting(field, pattern)} matches no layer from which channels can go; names are for example {one_of(near)}"
    )
