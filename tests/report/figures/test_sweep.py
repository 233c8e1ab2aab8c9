"""The picture of a sweep: real files."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from netslim.report.figures.sweep import draw_sweep

Row = dict[str, Any]


def sweep_rows(criteria: tuple[str, ...], *, measured: bool = True) -> list[Row]:
    rows: list[Row] = [{"criterion": "", "macs": 1000, "params": 500, "top1": 0.9, "latency_ms": 2.0}]
    for number, criterion in enumerate(criteria):
        for share in (0.2, 0.5, 0.8):
            row = {"criterion": criterion, "macs": int(1000 * (1 - share)), "params": int(500 * (1 - share / 2))}
            row |= {"top1": 0.9 - share / (2 - number), "top1_recalibrated": 0.9 - share / 4, "latency_ms": 2 - share}
            if not measured:
                del row["top1_recalibrated"], row["latency_ms"]
            rows.append(row)
    return rows


@pytest.mark.parametrize(
    "rows", [sweep_rows(("bn_scale",)), sweep_rows(("a", "b")), sweep_rows(("a",), measured=False)]
)
def test_a_sweep_is_a_picture_with_ink(tmp_path: Path, rows: list[Row]) -> None:
    draw_sweep(rows, tmp_path / "sweep.png", title="a network", latency="batch 1, cpu")
    with Image.open(tmp_path / "sweep.png") as picture:
        assert picture.format == "PNG"
        assert len(set(picture.convert("L").tobytes())) > 10
