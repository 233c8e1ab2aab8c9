"""A block of the network: heights against counts."""

import re
from xml.etree import ElementTree as ET

from drawings.elements import of_class
from netslim.report.page.drawings.network import HEIGHT, block_drawing
from netslim.report.page.plan_file import STREAM, Block, Layer


def test_columns_are_as_high_as_their_channels() -> None:
    block = Block("0", (Layer("bn1", "layer1.0.bn1", 64, 16), Layer("bn2", "layer1.0.bn2", 32, 32)))
    text = block_drawing("layer1", block, 128)
    heights = [[float(each["height"]) for each in of_class(text, "rect", kind)] for kind in ("gone", "kept")]
    assert heights == [[HEIGHT / 2, HEIGHT / 4], [HEIGHT / 8, HEIGHT / 4]]
    assert re.findall(r"<text[^>]*count[^>]*>(\d+)<", text) == ["16", "32"]


def test_a_layer_with_nothing_left_and_a_long_name_is_drawn() -> None:
    text = block_drawing("", Block("a" * 100, (Layer("", "x", 0, 0),)), 0)
    assert "…" in text
    ET.fromstring(text)  # noqa: S314


def test_a_streams_name_has_room() -> None:
    text = block_drawing("layer1", Block(STREAM, (Layer("", "layer2.0.bn1", 4, 2),)), 4)
    assert f">{STREAM}<" in text
