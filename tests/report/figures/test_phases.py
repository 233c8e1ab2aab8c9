"""The picture of a whole workflow: a real file."""

from pathlib import Path

import torch
from PIL import Image

import netslim
from netslim.report.figures.phases import draw_phases


def test_the_picture_has_ink_of_both_colours(tmp_path: Path) -> None:
    model = netslim.create_model("vgg", depth=11, num_classes=2)
    plan = netslim.plan(model, torch.zeros(1, 3, 32, 32), percent=0.4)
    draw_phases([{"phase": "pruned", "top1": 0.5, "params": 10, "macs": 20}], plan, tmp_path / "phases.png")
    with Image.open(tmp_path / "phases.png") as picture:
        colours = {pixel[:3] for _, pixel in picture.convert("RGB").getcolors(1 << 20) or []}
    assert {(0x2A, 0x6F, 0x97), (0xD9, 0xDD, 0xE1)} <= colours
