"""The picture of a sensitivity analysis: real files."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from netslim.core.errors import NetslimError
from netslim.report.figures.sensitivity import draw_sensitivity

Row = dict[str, Any]


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
