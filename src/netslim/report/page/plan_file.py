"""What the page shows of `plan.json`: how many channels each layer keeps, where it stands, and why something stayed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from netslim.core.schemas import Architecture, Count, FileModel

STREAM = "stream"  # the block of channels that several layers add to


class GroupKept(FileModel):
    """The channels of a group that stay."""

    name: str
    total: Count
    keep: list[Count]

    @property
    def kept(self) -> int:
        """How many stay."""
        return len(self.keep)


class CostFile(FileModel):
    """Parameters, and MACs of one input."""

    params: Count
    macs: Count


class Left(FileModel):
    """Channels that no plan removes."""

    name: str
    channels: Count
    reason: str


class Asked(FileModel):
    """The budget."""

    kind: str
    asked: str


class PlanFile(FileModel):
    """A plan as the file has it."""

    groups: list[GroupKept]
    before: CostFile
    after: CostFile
    arch: Architecture | None = None
    criterion: str = ""
    budget: Asked | None = None
    clamped: list[str] = Field(default_factory=list)
    min_channels: Count = 1
    unrounded: list[str] = Field(default_factory=list)
    round_to: Count = 1
    left_alone: list[Left] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
    input_shape: list[Count] = Field(default_factory=list)
    streams: dict[str, list[str]] = Field(default_factory=dict)  # of the run's record: group -> layers that write it

    @property
    def total(self) -> int:
        """Channels before."""
        return sum(group.total for group in self.groups)

    @property
    def kept(self) -> int:
        """Channels that stay."""
        return sum(group.kept for group in self.groups)


@dataclass(frozen=True)
class Layer:
    """A bar of the drawing: the layer's name within its block, its full name, channels before and after."""

    label: str
    name: str
    total: int
    kept: int


@dataclass(frozen=True)
class Block:
    """Layers that belong together."""

    name: str
    layers: tuple[Layer, ...]


@dataclass(frozen=True)
class Stage:
    """Blocks of a stage of the network; `name` is empty for what stands alone."""

    name: str
    blocks: tuple[Block, ...]

    @property
    def total(self) -> int:
        """Channels before."""
        return sum(layer.total for block in self.blocks for layer in block.layers)

    @property
    def kept(self) -> int:
        """Channels that stay."""
        return sum(layer.kept for block in self.blocks for layer in block.layers)

    @property
    def widest(self) -> int:
        """Channels of its widest layer before."""
        return max(layer.total for block in self.blocks for layer in block.layers)


def stages_of(plan: PlanFile) -> tuple[Stage, ...]:
    """A plan's layers by stage and block, as their names say, in network order; a stage's stream comes last.

    `layer2.0.bn1` is bn1 of block 0 of stage layer2; `features.denseblock1.denselayer2.norm1` norm1 of denselayer2.
    """
    stages: dict[str, dict[str, list[Layer]]] = {}
    for group in sorted(plan.groups, key=lambda group: group.name in plan.streams):
        stage, block, label = place_of(group.name)
        if writers := plan.streams.get(group.name):
            stage, block, label = _stage_of(writers), STREAM, group.name
        layer = Layer(label=label, name=group.name, total=group.total, kept=group.kept)
        stages.setdefault(stage, {}).setdefault(block, []).append(layer)
    return tuple(
        Stage(name, tuple(Block(block, tuple(layers)) for block, layers in blocks.items()))
        for name, blocks in stages.items()
    )


def _stage_of(writers: Iterable[str]) -> str:
    """The stage of most of these layers; one that stands alone (the stem) has none."""
    stages = Counter(stage for stage, _, _ in map(place_of, writers) if stage)
    return stages.most_common(1)[0][0] if stages else ""


def place_of(name: str) -> tuple[str, str, str]:
    """Stage, block and layer that a dotted name says; each may be empty."""
    parts = name.split(".")
    numbers = [index for index, part in enumerate(parts) if re.fullmatch(r"\d+", part)]
    if numbers:
        at = numbers[-1]
        return ".".join(parts[:at]), parts[at], ".".join(parts[at + 1 :])
    if len(parts) > 2:
        return ".".join(parts[:-2]), parts[-2], parts[-1]
    return (parts[0], "", parts[1]) if len(parts) == 2 else ("", name, "")


@dataclass(frozen=True)
class Reason:
    """Why channels stayed: a sentence, and the layers that it is of."""

    text: str
    layers: tuple[str, ...]
    channels: int | None = None


def reasons_of(plan: PlanFile) -> list[Reason]:
    """What stayed although more was asked for, and what no plan removes, with why."""
    found = []
    if plan.clamped:
        left = [group.kept for group in plan.groups if group.name in plan.clamped]
        found.append(Reason(f"Held at the floor of {floor_shown(left, plan.min_channels)}", tuple(plan.clamped)))
    if plan.unrounded:
        found.append(Reason(f"Whole, at a width that is no multiple of {plan.round_to}", tuple(plan.unrounded)))
    whole = tuple(group.name for group in plan.groups if group.kept == group.total)
    if whole:
        found.append(Reason(f"All channels rank above the cut ({plan.criterion or 'the criterion'})", whole))
    for reason, channels in _counted(plan.left_alone).items():
        layers = tuple(part.name for part in plan.left_alone if part.reason == reason)
        found.append(Reason(f"Never removed: {reason}", layers, channels))
    return found


def floor_shown(left: Sequence[int], min_channels: int) -> str:
    """`8 channels`: what layers were held at that keep so many; widths in multiples can have a floor of their own."""
    low = max(min_channels, min(left, default=min_channels))
    high = max(low, *left, 0)
    return f"{low} to {high} channels" if low < high else f"{low} channel{'s' * (low != 1)}"


def _counted(parts: Iterable[Left]) -> Counter[str]:
    counts: Counter[Any] = Counter()
    for part in parts:
        counts[part.reason] += part.channels
    return counts
