"""Pictures of prunings that were tried without training: real files, and what their axes say."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from netslim.core.errors import NetslimError
from netslim.report.csv_files import write_csv
from netslim.report.figures.tradeoff import draw_sensitivity, draw_sweep

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


def sensitivity_rows(layers: int) -> list[Row]:
    rows: list[Row] = [{"layer": "", "share": 0.0, "macs": 1000, "top1": 0.9}]
    for layer in range(layers):
        for share in (0.25, 0.75):
            row = {
                "layer": f"layer{layer}.bn",
                "share": share,
                "macs": 1000 - int(100 * share),
                "top1": 0.9 - share / 5,
            }
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


def test_more_layers_make_a_wider_picture_up_to_a_limit(tmp_path: Path) -> None:
    widths = []
    for layers in (1, 40, 200):
        draw_sensitivity(sensitivity_rows(layers), tmp_path / "layers.png", title="a network")
        with Image.open(tmp_path / "layers.png") as picture:
            widths.append(picture.width)
    assert widths == sorted(widths)
    assert widths[-1] == 24 * 130


def test_a_picture_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NetslimError, match="cannot write"):
        draw_sensitivity(sensitivity_rows(2), tmp_path / "file/layers.png", title="a network")


def test_a_csv_has_every_column_and_leaves_what_is_missing_empty(tmp_path: Path) -> None:
    write_csv(tmp_path / "rows.csv", [{"a": 1, "b": 1 / 3}, {"a": "x, y", "c": 2}])
    assert (tmp_path / "rows.csv").read_text() == 'a,b,c\n1,0.333333,\n"x, y",,2\n'
