"""The network block by block: for each layer the channels it had, and those that are left."""

from __future__ import annotations

from markupsafe import Markup

from netslim.report.page.drawings.svg import drawing, line, tag, text
from netslim.report.page.plan_file import STREAM, Block, Layer

HEIGHT, TOP, FOOT = 72.0, 16.0, 18.0  # of a bar at full width; above it, below it
GAP, SIDE, DIGIT = 4.0, 9.0, 6.3


def block_drawing(stage: str, block: Block, widest: int) -> Markup:
    """A block: a column per layer, outlined at its width before and filled to what is left, the count above it.

    Args:
        stage: name of its stage.
        block: what is drawn.
        widest: channels of a full column.
    """
    wide = max(16.0, DIGIT * len(str(widest)) + 3)
    inner = len(block.layers) * (wide + GAP) - GAP
    width = max(2 * SIDE + inner, DIGIT * len(STREAM))
    middle, left = TOP + HEIGHT / 2, (width - inner) / 2
    columns = [_column(layer, left + at * (wide + GAP), wide, widest) for at, layer in enumerate(block.layers)]
    stream = [line(0, middle, SIDE - 3, middle, "stream"), line(width - SIDE + 3, middle, width, middle, "stream")]
    frame = tag("rect", x=SIDE - 4, y=1, width=width - 2 * SIDE + 8, height=TOP + HEIGHT + 3, rx=4, class_="frame")
    name = text(width / 2, TOP + HEIGHT + FOOT - 2, _short(block.name, width), "faint small", "middle")
    said = ", ".join(f"{layer.label or layer.name} {layer.kept} of {layer.total}" for layer in block.layers)
    place = " ".join(word for word in (stage, block.name) if word)
    title = f"{place}: {said} channels kept"
    return drawing(width, TOP + HEIGHT + FOOT, *stream, frame, *columns, name, title=title, kind="block", fixed=True)


def _column(layer: Layer, left: float, wide: float, widest: int) -> Markup:
    before = max(2.0, HEIGHT * layer.total / max(1, widest))
    after = HEIGHT * layer.kept / max(1, widest)
    ground = TOP + HEIGHT
    return tag(
        "g",
        tag("title", f"{layer.name}: {layer.kept} of {layer.total} channels kept"),
        tag("rect", x=left, y=ground - before, width=wide, height=before, class_="gone"),
        tag("rect", x=left, y=ground - after, width=wide, height=max(after, 0.5), class_="kept"),
        text(left + wide / 2, ground - before - 3, str(layer.kept), "count", "middle"),
    )


def _short(name: str, width: float) -> str:
    most = max(1, int(width / DIGIT))
    return name if len(name) <= most else f"{name[: most - 1]}…"
