"""The figure of a transfer, laid out in inches: which block of the source every block of the target comes from."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from typing import Any

from netslim.core.errors import UsageError, one_of
from netslim.core.files import atomic_write

# Known formats, and what to leave out: without a date, and with a fixed salt, the same figure is the same file.
FORMATS: Mapping[str, dict[str, Any]] = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
# Text stays text in an SVG, a PDF embeds the fonts that journals take, and a dollar sign in a name is no formula.
SETTINGS: Any = {"svg.fonttype": "none", "svg.hashsalt": "netslim", "pdf.fonttype": 42, "text.parse_math": False}
# Okabe and Ito's colours, told apart by colour-blind readers too (jfly.uni-koeln.de/color); stem and head are grey.
STAGE_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
END_COLOUR, INK, FAINT_INK = "#7A858F", "#1F2933", "#6B7580"
FILL, LINK, PALE, BAND = 0.5, 0.65, 0.35, 0.14  # strengths of a colour mixed with white
MARGIN, HEADER, STAGE_STRIP, STAGE_GAP, BAND_PAD, LINK_SPAN = 0.15, 0.75, 0.2, 0.14, 0.05, 2.3
LEGEND_WIDTH, LEGEND_LEFT, LEGEND_LINE, LEGEND_LINES = 5.8, 3.55, 0.16, 6

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
class _Sizes:
    """Inches from block to block, of a block and of the link that carries a whole branch; points of type."""

    pitch: float
    width: float
    height: float
    link: float
    font: float

    @classmethod
    def of(cls, sources: Sequence[str], targets: Sequence[str]) -> _Sizes:
        """Many blocks: a smaller pitch, and the type that fits it (6 to 8 points)."""
        pitch = min(0.24, max(0.16, 8.5 / max(len(sources), len(targets), 1)))
        font = min(8.0, 39 * pitch)
        widest = max((_text_width(name, font) for name in (*sources, *targets)), default=0.0)
        return cls(pitch=pitch, width=widest + 0.3, height=0.76 * pitch, link=0.53 * pitch, font=font)


@dataclass(frozen=True, kw_only=True)
class _Column:
    """One network: block -> height of its middle, stage -> colour, left edge of blocks, middle of the stages' names."""

    heights: Heights
    colours: Mapping[str, str]
    left: float
    strip: float
    sizes: _Sizes


def picture_format(path: Path) -> str:
    """The format that the file's suffix names. Raises UsageError if it names none that can be written."""
    kind = path.suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        allowed = one_of(f".{known}" for known in FORMATS)
        raise UsageError(f"no picture can be written as '{path}': its name must end in one of {allowed}")
    return kind


def draw_mapping(links: Sequence[BlockLink], unused: Sequence[str], path: Path, title: str) -> None:
    """Writes a picture of the two networks side by side, with a link from each source block to the blocks it fills.

    Args:
        links: one per block of the target, in network order, with its stem and its head.
        unused: blocks of the source that nothing was taken from.
        path: the file; .png, .svg or .pdf.
        title: one line above the picture.

    Raises:
        UsageError: the file's suffix names no known format.
        NetslimError: the file can't be written; one that was there is untouched.
    """
    import matplotlib as mpl

    kind, picture = picture_format(path), io.BytesIO()
    with mpl.rc_context(SETTINGS):
        _figure(links, unused, title).savefig(picture, format=kind, dpi=200, metadata=FORMATS[kind])
    atomic_write(path, picture.getvalue())


def _figure(links: Sequence[BlockLink], unused: Sequence[str], title: str) -> Any:
    from matplotlib.figure import Figure

    sources = _source_order(links, unused)
    sizes = _Sizes.of(sources, [link.target for link in links])
    source, target = _columns(sources, links, sizes)
    notes = target.strip + STAGE_STRIP / 2 + MARGIN
    ends = [notes + _text_width(_note(link), sizes.font) for link in links]
    width = max(LEGEND_WIDTH, _text_width(title, 10.5), *ends) + 2 * MARGIN
    lowest = max([HEADER, *source.heights.values(), *target.heights.values()])
    scales = sorted({link.scale for link in links if link.source is not None}, reverse=True)
    scales = scales[:: -(-len(scales) // LEGEND_LINES) or 1]  # a few, spread over all
    height = lowest + sizes.pitch + LEGEND_LINE * max(4, len(scales)) + 2 * MARGIN
    axes = Figure(figsize=(width, height)).add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    axes.text(MARGIN, 0.24, title, fontsize=10, fontweight="bold", color=INK, va="center")
    _draw_bands(axes, source, "source")
    _draw_bands(axes, target, "target")
    _draw_links(axes, links, source, target)
    used = {link.source for link in links}
    for name in sources:
        _draw_block(axes, source, name, float(name in used), pale=name not in used)
    for link in links:
        _draw_block(axes, target, link.target, link.covered, line="-" if link.source else "--")
    _draw_notes(axes, links, target, notes)
    _draw_legend(axes.figure, {*source.colours.values(), *target.colours.values()}, scales, sizes)
    return axes.figure


def _stage(name: str) -> str:
    return name.rpartition(".")[0] or name


def _text_width(text: str, font: float) -> float:
    """Inches that the text surely fits in: 0.6 of the size of type is more than the average character's width."""
    return 0.6 * len(text) * font / 72


def _source_order(links: Sequence[BlockLink], unused: Sequence[str]) -> list[str]:
    """Source blocks as the target first names them; unused ones end their stage, unused stages come before the head."""
    stages: dict[str, dict[str, None]] = {}
    for name in [*(link.source for link in links if link.source is not None), *unused]:
        stages.setdefault(_stage(name), {})[name] = None
    order = sorted(stages, key=lambda stage: {"stem": 0, "head": 2}.get(stage, 1))
    return [name for stage in order for name in stages[stage]]


def _colours(names: Iterable[str]) -> dict[str, str]:
    """Stage -> colour: the first stage of either network has the first colour, and so on."""
    stages = {_stage(name): "." in name for name in names}
    inner = sorted(stage for stage, has_blocks in stages.items() if has_blocks)
    return dict.fromkeys(stages, END_COLOUR) | dict(zip(inner, STAGE_COLOURS * len(inner), strict=False))


def _columns(sources: list[str], links: Sequence[BlockLink], sizes: _Sizes) -> list[_Column]:
    """The source's and the target's, with the names of stages on the outer sides."""
    left = MARGIN + STAGE_STRIP
    right = left + sizes.width + LINK_SPAN
    strips = MARGIN + STAGE_STRIP / 2, right + sizes.width + STAGE_STRIP / 2
    upper, lower = _heights(sources, links, sizes.pitch)
    return [
        _Column(heights=upper, colours=_colours(upper), left=left, strip=strips[0], sizes=sizes),
        _Column(heights=lower, colours=_colours(lower), left=right, strip=strips[1], sizes=sizes),
    ]


def _heights(sources: Iterable[str], links: Sequence[BlockLink], pitch: float) -> tuple[Heights, Heights]:
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
    return column[last] + pitch + STAGE_GAP * (_stage(last) != _stage(name))


def _tint(colour: str, strength: float) -> str:
    """The colour mixed with white: 1 is the colour itself."""
    parts = (int(colour[digit : digit + 2], 16) for digit in (1, 3, 5))
    return "#" + "".join(f"{round(255 - strength * (255 - part)):02x}" for part in parts)


def _box(left: float, top: float, width: float, height: float, **look: Any) -> Any:
    from matplotlib.patches import FancyBboxPatch

    return FancyBboxPatch((left, top), width, height, boxstyle="round,pad=0,rounding_size=0.035", **look)


def _draw_bands(axes: Any, column: _Column, side: str) -> None:
    """A heading, a band behind each stage, and its name along the outer edge where the band is long enough."""
    sizes, middle = column.sizes, column.left + column.sizes.width / 2
    heading = f"{side}: {sum('.' in name for name in column.heights)} blocks"
    text = {"fontsize": sizes.font, "color": INK, "ha": "center", "va": "center"}
    axes.text(middle, HEADER - 0.14, heading, **text)
    left = min(column.left, column.strip - STAGE_STRIP / 2) - BAND_PAD
    width = sizes.width + STAGE_STRIP + 2 * BAND_PAD
    for stage, group in groupby(column.heights, key=_stage):
        heights, colour = [column.heights[name] for name in group], column.colours[stage]
        top, length = heights[0] - sizes.pitch / 2, heights[-1] - heights[0] + sizes.pitch
        axes.add_patch(_box(left, top, width, length, fc=_tint(colour, BAND), ec="none"))
        if colour != END_COLOUR and length > _text_width(stage, sizes.font):
            axes.text(column.strip, top + length / 2, stage, rotation=90, **text)


def _draw_links(axes: Any, links: Sequence[BlockLink], source: _Column, target: _Column) -> None:
    """Curves that leave a source block side by side: those that share its branch make up its width together."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Curve

    begin, end, whole = source.left + source.sizes.width, target.left, source.sizes.link
    middle = (begin + end) / 2
    for name, height in source.heights.items():
        group = [link for link in links if link.source == name]
        colour = _tint(source.colours[_stage(name)], LINK)
        edge = height - whole * sum(link.scale for link in group) / 2
        for link in group:
            width = whole * link.scale
            start, stop = edge + width / 2, target.heights[link.target]
            edge += width
            points = [(begin, start), (middle, start), (middle, stop), (end, stop)]
            curve = Curve(points, [Curve.MOVETO, Curve.CURVE4, Curve.CURVE4, Curve.CURVE4])
            axes.add_patch(PathPatch(curve, fill=False, edgecolor=colour, linewidth=72 * width))


def _draw_block(axes: Any, column: _Column, name: str, covered: float, *, line: str = "-", pale: bool = False) -> None:
    """A rounded rectangle with the block's name, filled from the left as far as it is covered."""
    sizes, colour, middle = column.sizes, column.colours[_stage(name)], column.heights[name]
    left, top = column.left, middle - sizes.height / 2
    outline = axes.add_patch(_box(left, top, sizes.width, sizes.height, fc="white", ec="none"))
    axes.barh(middle, covered * sizes.width, sizes.height, left, color=_tint(colour, FILL), clip_path=outline)
    edge, ink = (_tint(colour, PALE), FAINT_INK) if pale else (colour, INK)
    axes.add_patch(_box(left, top, sizes.width, sizes.height, fc="none", ec=edge, linestyle=line, linewidth=0.8))
    axes.text(left + sizes.width / 2, middle, name, fontsize=sizes.font, color=ink, ha="center", va="center_baseline")


def _note(link: BlockLink) -> str:
    return link.operation if link.source is None else f"{link.operation}, {100 * link.covered:.0f} %"


def _draw_notes(axes: Any, links: Sequence[BlockLink], target: _Column, left: float) -> None:
    """One note for neighbours of a stage that were treated alike, with a bar along them."""
    for (_, note), group in groupby(links, key=lambda link: (_stage(link.target), _note(link))):
        heights = [target.heights[link.target] for link in group]
        ends = [heights[0] - target.sizes.height / 2, heights[-1] + target.sizes.height / 2]
        axes.plot([left, left], ends, color=FAINT_INK, linewidth=0.8, solid_capstyle="butt")
        axes.text(left + 0.06, sum(ends) / 2, note, fontsize=target.sizes.font, color=INK, va="center_baseline")


def _draw_legend(figure: Any, colours: set[str], scales: Sequence[float], sizes: _Sizes) -> None:
    """What colours, fills and outlines mean, and beside it the widths of links."""
    from matplotlib.legend_handler import HandlerTuple
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    shown = [*(own for own in STAGE_COLOURS if own in colours), END_COLOUR]
    stages, colour = [Patch(fc=_tint(own, FILL), ec=own) for own in shown], shown[0]
    filled, empty = Patch(fc=_tint(colour, FILL), ec=colour), Patch(fc="white", ec=colour)
    looks: dict[str, Any] = {
        "stages, grey: stem and head; links take their source's colour": tuple(stages),
        "filled part: share of the parameters that come from the source": (filled, empty),
        "dashed: starts anew": Patch(fc="white", ec=colour, linestyle="--"),
        "pale: block of the source that is not used": Patch(fc="white", ec=_tint(colour, PALE)),
    }
    widths: dict[str, Any] = {}
    for scale in scales:
        share = "the whole" if scale == 1 else f"{Fraction(scale).limit_denominator(100)} of the"
        line = Line2D([], [], color=_tint(colour, LINK), linewidth=72 * sizes.link * scale, solid_capstyle="butt")
        widths[f"link: {share} branch of its source"] = line
    width, height = figure.get_size_inches()
    top = (MARGIN + LEGEND_LINE * max(len(looks), len(widths))) / height
    look = {"handler_map": {tuple: HandlerTuple(ndivide=None, pad=0)}, "handlelength": 2.8, "frameon": False}
    look |= {"loc": "upper left", "fontsize": 7, "labelcolor": INK}
    for left, entries in ((0.0, looks), (LEGEND_LEFT / width, widths)):
        figure.legend(list(entries.values()), list(entries), bbox_to_anchor=(left, top), **look)
