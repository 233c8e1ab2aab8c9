"""The figure of a transfer: which block of the source every block of the target comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from typing import Any

from netslim.core.errors import UsageError, one_of
from netslim.report.figures.mapping_layout import (
    END_COLOUR,
    HEADER,
    MARGIN,
    STAGE_STRIP,
    Column,
    Sizes,
    columns,
    source_order,
    stage_of,
    text_width,
)
from netslim.report.figures.mapping_layout import BlockLink as BlockLink
from netslim.report.figures.style import FAINT_INK, INK, SERIES, tint, write_figure

# Known formats, and what to leave out: without a date, and with a fixed salt, the same figure is the same file.
FORMATS: Mapping[str, dict[str, Any]] = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
# Text stays text in an SVG, a PDF embeds the fonts that journals take, and a dollar sign in a name is no formula.
SETTINGS: Any = {"svg.fonttype": "none", "svg.hashsalt": "netslim", "pdf.fonttype": 42, "text.parse_math": False}
FILL, LINK, PALE, BAND = 0.5, 0.65, 0.35, 0.14  # strengths of a colour mixed with white
BAND_PAD = 0.05
LEGEND_WIDTH, LEGEND_LEFT, LEGEND_LINE, LEGEND_LINES = 5.8, 3.55, 0.16, 6


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

    kind = picture_format(path)
    with mpl.rc_context(SETTINGS):
        write_figure(_figure(links, unused, title), path, dpi=200, kind=kind, metadata=FORMATS[kind])


def _figure(links: Sequence[BlockLink], unused: Sequence[str], title: str) -> Any:
    from matplotlib.figure import Figure

    sources = source_order(links, unused)
    sizes = Sizes.of(sources, [link.target for link in links])
    source, target = columns(sources, links, sizes)
    notes = target.strip + STAGE_STRIP / 2 + MARGIN
    ends = [notes + text_width(_note(link), sizes.font) for link in links]
    width = max(LEGEND_WIDTH, text_width(title, 10.5), *ends) + 2 * MARGIN
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


def _box(left: float, top: float, width: float, height: float, **look: Any) -> Any:
    from matplotlib.patches import FancyBboxPatch

    return FancyBboxPatch((left, top), width, height, boxstyle="round,pad=0,rounding_size=0.035", **look)


def _draw_bands(axes: Any, column: Column, side: str) -> None:
    """A heading, a band behind each stage, and its name along the outer edge where the band is long enough."""
    sizes, middle = column.sizes, column.left + column.sizes.width / 2
    heading = f"{side}: {sum('.' in name for name in column.heights)} blocks"
    text = {"fontsize": sizes.font, "color": INK, "ha": "center", "va": "center"}
    axes.text(middle, HEADER - 0.14, heading, **text)
    left = min(column.left, column.strip - STAGE_STRIP / 2) - BAND_PAD
    width = sizes.width + STAGE_STRIP + 2 * BAND_PAD
    for stage, group in groupby(column.heights, key=stage_of):
        heights, colour = [column.heights[name] for name in group], column.colours[stage]
        top, length = heights[0] - sizes.pitch / 2, heights[-1] - heights[0] + sizes.pitch
        axes.add_patch(_box(left, top, width, length, fc=tint(colour, BAND), ec="none"))
        if colour != END_COLOUR and length > text_width(stage, sizes.font):
            axes.text(column.strip, top + length / 2, stage, rotation=90, **text)


def _draw_links(axes: Any, links: Sequence[BlockLink], source: Column, target: Column) -> None:
    """Curves that leave a source block side by side: those that share its branch make up its width together."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Curve

    begin, end, whole = source.left + source.sizes.width, target.left, source.sizes.link
    middle = (begin + end) / 2
    for name, height in source.heights.items():
        group = [link for link in links if link.source == name]
        colour = tint(source.colours[stage_of(name)], LINK)
        edge = height - whole * sum(link.scale for link in group) / 2
        for link in group:
            width = whole * link.scale
            start, stop = edge + width / 2, target.heights[link.target]
            edge += width
            points = [(begin, start), (middle, start), (middle, stop), (end, stop)]
            curve = Curve(points, [Curve.MOVETO, Curve.CURVE4, Curve.CURVE4, Curve.CURVE4])
            axes.add_patch(PathPatch(curve, fill=False, edgecolor=colour, linewidth=72 * width))


def _draw_block(axes: Any, column: Column, name: str, covered: float, *, line: str = "-", pale: bool = False) -> None:
    """A rounded rectangle with the block's name, filled from the left as far as it is covered."""
    sizes, colour, middle = column.sizes, column.colours[stage_of(name)], column.heights[name]
    left, top = column.left, middle - sizes.height / 2
    outline = axes.add_patch(_box(left, top, sizes.width, sizes.height, fc="white", ec="none"))
    axes.barh(middle, covered * sizes.width, sizes.height, left, color=tint(colour, FILL), clip_path=outline)
    edge, ink = (tint(colour, PALE), FAINT_INK) if pale else (colour, INK)
    axes.add_patch(_box(left, top, sizes.width, sizes.height, fc="none", ec=edge, linestyle=line, linewidth=0.8))
    axes.text(left + sizes.width / 2, middle, name, fontsize=sizes.font, color=ink, ha="center", va="center_baseline")


def _note(link: BlockLink) -> str:
    return link.operation if link.source is None else f"{link.operation}, {100 * link.covered:.0f} %"


def _draw_notes(axes: Any, links: Sequence[BlockLink], target: Column, left: float) -> None:
    """One note for neighbours of a stage that were treated alike, with a bar along them."""
    for (_, note), group in groupby(links, key=lambda link: (stage_of(link.target), _note(link))):
        heights = [target.heights[link.target] for link in group]
        ends = [heights[0] - target.sizes.height / 2, heights[-1] + target.sizes.height / 2]
        axes.plot([left, left], ends, color=FAINT_INK, linewidth=0.8, solid_capstyle="butt")
        axes.text(left + 0.06, sum(ends) / 2, note, fontsize=target.sizes.font, color=INK, va="center_baseline")


def _draw_legend(figure: Any, colours: set[str], scales: Sequence[float], sizes: Sizes) -> None:
    """What colours, fills and outlines mean, and beside it the widths of links."""
    from matplotlib.legend_handler import HandlerTuple
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    shown = [*(own for own in SERIES if own in colours), END_COLOUR]
    stages, colour = [Patch(fc=tint(own, FILL), ec=own) for own in shown], shown[0]
    filled, empty = Patch(fc=tint(colour, FILL), ec=colour), Patch(fc="white", ec=colour)
    looks: dict[str, Any] = {
        "stages, grey: stem and head; links take their source's colour": tuple(stages),
        "filled part: share of the parameters that come from the source": (filled, empty),
        "dashed: starts anew": Patch(fc="white", ec=colour, linestyle="--"),
        "pale: block of the source that is not used": Patch(fc="white", ec=tint(colour, PALE)),
    }
    widths: dict[str, Any] = {}
    for scale in scales:
        share = "the whole" if scale == 1 else f"{Fraction(scale).limit_denominator(100)} of the"
        line = Line2D([], [], color=tint(colour, LINK), linewidth=72 * sizes.link * scale, solid_capstyle="butt")
        widths[f"link: {share} branch of its source"] = line
    width, height = figure.get_size_inches()
    top = (MARGIN + LEGEND_LINE * max(len(looks), len(widths))) / height
    look = {"handler_map": {tuple: HandlerTuple(ndivide=None, pad=0)}, "handlelength": 2.8, "frameon": False}
    look |= {"loc": "upper left", "fontsize": 7, "labelcolor": INK}
    for left, entries in ((0.0, looks), (LEGEND_LEFT / width, widths)):
        figure.legend(list(entries.values()), list(entries), bbox_to_anchor=(left, top), **look)
