"""The figure of a transfer: real files, read back."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import pytest
from block_links import LINKS, UNUSED, block
from PIL import Image

from netslim.core.errors import NetslimError, UsageError
from netslim.report.figures.mapping import draw_mapping
from netslim.report.figures.mapping_layout import BlockLink
from netslim.report.figures.style import SERIES

START = {"png": b"\x89PNG\r\n\x1a\n", "svg": b"<?xml", "pdf": b"%PDF-"}


NAMES = {link.target for link in LINKS} | {link.source for link in LINKS if link.source} | set(UNUSED)


def drawn(folder: Path, links: Sequence[BlockLink] = LINKS, unused: Sequence[str] = UNUSED, title: str = "a") -> Path:
    path = folder / "mapping.svg"
    draw_mapping(links, unused, path, title)
    return path


def texts(path: Path) -> list[str]:
    found = ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text")  # noqa: S314 - our own file
    return ["".join(element.itertext()) for element in found]


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf", "PNG"])
def test_the_suffix_names_the_kind_of_picture(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "new" / f"mapping.{suffix}"
    draw_mapping(LINKS, UNUSED, path, "resnet50 → depth 164")
    assert path.read_bytes().startswith(START[suffix.lower()])
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_a_png_can_be_opened_and_is_not_blank(tmp_path: Path) -> None:
    draw_mapping(LINKS, UNUSED, tmp_path / "a.png", "a")
    with Image.open(tmp_path / "a.png") as image:
        image.load()
        assert min(image.size) > 500
        colours = {pixel[:3] for _, pixel in image.convert("RGBA").getcolors(1 << 20) or []}
    assert {tuple(bytes.fromhex(colour[1:])) for colour in SERIES[:2]} <= colours


@pytest.mark.parametrize("name", ["mapping.jpg", "mapping", "png"])
def test_another_suffix_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    wanted = f"no picture can be written as '{path}': its name must end in one of .png, .svg, .pdf"
    with pytest.raises(UsageError, match=f"^{re.escape(wanted)}$"):
        draw_mapping(LINKS, UNUSED, path, "a")
    assert not path.exists()


def test_every_block_of_both_networks_is_named(tmp_path: Path) -> None:
    found = texts(drawn(tmp_path, title="a $title$ & <more>"))
    for name in NAMES:
        both = name in {link.target for link in LINKS} and name in {link.source for link in LINKS} | set(UNUSED)
        assert found.count(name) == 1 + both, name
    assert {"a $title$ & <more>", "source: 6 blocks", "target: 6 blocks"} <= set(found)


def test_large_networks_are_named_in_full(tmp_path: Path) -> None:
    links = [
        block("stem", "stem"),
        *(block(f"layer{s}.{b}", f"layer{s}.{b // 6}") for s in (1, 2, 3) for b in range(18)),
    ]
    found = texts(drawn(tmp_path, links, [f"layer3.{b}" for b in range(3, 36)]))
    assert {f"layer{s}.{b}" for s in (1, 2, 3) for b in range(18)} | {"layer3.35"} <= set(found)


def test_alike_neighbours_share_one_note(tmp_path: Path) -> None:
    found = texts(drawn(tmp_path))
    assert [text for text in found if "folded" in text or text == "new"] == [
        "sliced, folded, 50 %",  # stem
        "sliced, folded, 50 %",  # layer1, three blocks
        "sliced, folded, 50 %",  # layer2.0
        "sliced, folded, 97 %",
        "new",
        "new",
    ]


def test_the_legend_says_what_everything_means(tmp_path: Path) -> None:
    found = texts(drawn(tmp_path))
    for beginning in ("stages, ", "filled part: ", "dashed: starts anew", "pale: "):
        assert sum(text.startswith(beginning) for text in found) == 1
    assert [text for text in found if text.startswith("link")] == [
        "link: the whole branch of its source",
        "link: 1/3 of the branch of its source",
    ]


@pytest.mark.parametrize(
    ("links", "unused"),
    [([], []), ([block("head", None)], []), ([], ["layer1.0"]), ([block("layer1.0", "layer1.0", scale=0.0)], [])],
)
def test_odd_networks_can_be_drawn(tmp_path: Path, links: list[BlockLink], unused: list[str]) -> None:
    assert texts(drawn(tmp_path, links, unused))


def test_equal_figures_are_equal_files(tmp_path: Path) -> None:
    for kind in START:
        for folder in ("a", "b"):
            draw_mapping(LINKS, UNUSED, tmp_path / folder / f"mapping.{kind}", "a")
        assert len({(tmp_path / folder / f"mapping.{kind}").read_bytes() for folder in ("a", "b")}) == 1, kind


def test_the_callers_matplotlib_is_left_alone(tmp_path: Path) -> None:
    def settings() -> dict[str, object]:
        return {key: value for key, value in dict.items(mpl.rcParams) if key != "backend"}  # asking for it sets it

    before, pyplot = settings(), "matplotlib.pyplot" in sys.modules
    drawn(tmp_path)
    assert settings() == before
    assert ("matplotlib.pyplot" in sys.modules) == pyplot


def test_a_drawing_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = drawn(tmp_path)
    before = path.read_bytes()
    with pytest.raises((TypeError, UnicodeError)):
        drawn(tmp_path, title="weights of \udcff.pth")  # a file name that is not UTF-8
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "mapping.png"
    path.mkdir()
    (path / "inside").write_text("old")
    with pytest.raises(NetslimError, match=f"^cannot write {re.escape(str(path))}: .*; nothing was changed$"):
        draw_mapping(LINKS, UNUSED, path, "a")
    assert [str(one.relative_to(tmp_path)) for one in sorted(tmp_path.rglob("*"))] == [
        "mapping.png",
        "mapping.png/inside",
    ]
