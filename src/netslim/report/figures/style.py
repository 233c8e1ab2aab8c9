"""Colours, inks and file writing that all pictures share."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netslim.core.files import atomic_write

# Okabe and Ito's colours, told apart by colour-blind readers too (jfly.uni-koeln.de/color).
SERIES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
INK, FAINT_INK, GRID = "#1F2933", "#6B7580", "#E4E7EB"


def series_colours(count: int) -> list[str]:
    """That many colours, from the first again after the last."""
    return [SERIES[index % len(SERIES)] for index in range(count)]


def tint(colour: str, strength: float) -> str:
    """A colour mixed with white: 1 is the colour itself."""
    parts = (int(colour[digit : digit + 2], 16) for digit in (1, 3, 5))
    return "#" + "".join(f"{round(255 - strength * (255 - part)):02x}" for part in parts)


def open_axes(*panels: Any, grid: bool = False) -> None:
    """No frame above and to the right; with faint lines across behind the data if wanted."""
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        if grid:
            axes.grid(axis="y", color=GRID, linewidth=0.6)
            axes.set_axisbelow(True)


def write_figure(
    figure: Any, target: Path, *, dpi: int, kind: str = "png", metadata: Mapping[str, Any] | None = None
) -> None:
    """Writes a picture, whole or not at all. Raises NetslimError if the file can't be written."""
    picture = io.BytesIO()
    figure.savefig(picture, dpi=dpi, format=kind, metadata=metadata)
    atomic_write(target, picture.getvalue())
