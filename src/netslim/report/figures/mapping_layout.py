"""Where everything in the figure of a transfer goes, in inches: blocks, columns and stages. Nothing is drawn here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from netslim.report.figures.style import SERIES

END_COLOUR = "#7A858F"  # of stem and head
MARGIN, HEADER, STAGE_STRIP, STAGE_GAP, LINK_SPAN = 0.15, 0.75, 0.2, 0.14, 2.3

Heights = Mapping[str, float]  # block -> its middle


@dataclass(frozen=True, kw_only=True)
class BlockLink:
    """Where one block of the target comes from.

    Attributes:
        target: the block's name ("layer1.0"), or "stem" or "head".
        source: the source's block, or None for a block that starts anew.
        operation: what was done to the weights, in words ("sliced, folded").
        scale: share of the source's branch that the block carries: 1, or 1/k where k blocks share one.
        covered: share of the block's parameters that comes from the source, 0 to 1.
    """

    target: str
    source: str | None
    operation: str
    scale: float
    covered: float


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Inches from block to block, of a block and of the link that carries a whole branch; points of type."""

    pitch: float
    width: float
    height: float
    link: float
    font: float

    @classmethod
    def of(cls, sources: Sequence[str], targets: Sequence[str]) -> Sizes:
        """Many blocks: a smaller pitch, and the type that fits it (6 to 8 points)."""
        pitch = min(0.24, max(0.16, 8.5 / max(len(sources), len(targets), 1)))
        font = min(8.0, 39 * pitch)
        widest = max((text_width(name, font) for name in (*sources, *targets)), default=0.0)
        return cls(pitch=pitch, width=widest + 0.3, height=0.76 * pitch, link=0.53 * pitch, font=font)


@dataclass(frozen=True, kw_only=True)
class Column:
    """One network: block -> height of its middle, stage -> colour, left edge of blocks, middle of the stages' names."""

    heights: Heights
    colours: Mapping[str, str]
    left: float
    strip: float
    sizes: Sizes


def stage_of(name: str) -> str:
    """`layer1.0` -> `layer1`; `stem` is a stage by itself."""
    return name.rpartition(".")[0] or name


def text_width(text: str, font: float) -> float:
    """Inches that the text surely fits in: 0.6 of the size of type is more than the average character's width."""
    return 0.6 * len(text) * font / 72


def source_order(links: Sequence[BlockLink], unused: Sequence[str]) -> list[str]:
    """Source blocks as the target first names them; unused ones end their stage, unused stages come before the head."""
    stages: dict[str, dict[str, None]] = {}
    for name in [*(link.source for link in links if link.source is not None), *unused]:
        stages.setdefault(stage_of(name), {})[name] = None
    order = sorted(stages, key=lambda stage: {"stem": 0, "head": 2}.get(stage, 1))
    return [name for stage in order for name in stages[stage]]


def stage_colours(names: Iterable[str]) -> dict[str, str]:
    """Stage -> colour: the first stage of either network has the first colour, and so on."""
    stages = {stage_of(name): "." in name for name in names}
    inner = sorted(stage for stage, has_blocks in stages.items() if has_blocks)
    return dict.fromkeys(stages, END_COLOUR) | dict(zip(inner, SERIES * len(inner), strict=False))


def columns(sources: list[str], links: Sequence[BlockLink], sizes: Sizes) -> list[Column]:
    """The source's and the target's, with the names of stages on the outer sides."""
    left = MARGIN + STAGE_STRIP
    right = left + sizes.width + LINK_SPAN
    strips = MARGIN + STAGE_STRIP / 2, right + sizes.width + STAGE_STRIP / 2
    upper, lower = heights(sources, links, sizes.pitch)
    return [
        Column(heights=upper, colours=stage_colours(upper), left=left, strip=strips[0], sizes=sizes),
        Column(heights=lower, colours=stage_colours(lower), left=right, strip=strips[1], sizes=sizes),
    ]


def heights(sources: Iterable[str], links: Sequence[BlockLink], pitch: float) -> tuple[Heights, Heights]:
    """Source and target from top to bottom, each waiting for the other: a source block is level with those it fills."""
    source, target = dict[str, float](), dict[str, float]()
    waiting = list(sources)
    for origin, run in groupby(links, key=lambda link: link.source):
        names = [link.target for link in run]
        half, top = (len(names) - 1) * pitch / 2, _below(target, names[0], pitch)
        if origin in waiting:
            while (name := waiting.pop(0)) != origin:
                source[name] = _below(source, name, pitch)
            top = max(top, _below(source, name, pitch) - half)
            source[name] = top + half
        target[names[0]] = top
        for name in names[1:]:
            target[name] = _below(target, name, pitch)
    for name in waiting:
        source[name] = _below(source, name, pitch)
    return source, target


def _below(column: Heights, name: str, pitch: float) -> float:
    """Where a block finds room under the column's last one: a pitch below, and a gap where a stage begins."""
    if not column:
        return HEADER + pitch
    last = list(column)[-1]
    return column[last] + pitch + STAGE_GAP * (stage_of(last) != stage_of(name))
