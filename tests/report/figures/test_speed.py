"""The picture of a benchmark: real files."""

from pathlib import Path
from typing import Any

from PIL import Image

from netslim.report.figures.speed import COLOURS, draw_speed


def row(file: str, batch: int, seconds: float) -> dict[str, Any]:
    quartiles = {"lower_quartile_seconds": seconds, "median_seconds": seconds, "upper_quartile_seconds": 2 * seconds}
    return {"file": file, "engine": "eager", "threads": 1, "batch_size": batch, "speed_up": 2.0, **quartiles}


def test_every_file_has_its_colour_and_every_batch_its_panel(tmp_path: Path) -> None:
    draw_speed([row("a/x", 1, 0.1), row("a/y", 1, 0.2)], tmp_path / "one.png")
    draw_speed([row(file, batch, 0.1) for file in ("a/x", "a/y") for batch in (1, 8)], tmp_path / "two.png")
    with Image.open(tmp_path / "one.png") as one, Image.open(tmp_path / "two.png") as two:
        assert two.width > one.width
        colours = {pixel[:3] for _, pixel in one.convert("RGB").getcolors(1 << 20) or []}
    assert {tuple(bytes.fromhex(colour[1:])) for colour in COLOURS[:2]} <= colours
