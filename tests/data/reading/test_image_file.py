import os
import warnings
from pathlib import Path

import image_files
import numpy as np
import pytest
from image_files import photograph, save
from PIL import Image

from netslim.core.errors import DataError
from netslim.data.reading.decode import common_format, decode_images
from netslim.data.reading.image_file import MOST_PIXELS, ImageFormat, decode, read_header


def form_of(width: int, height: int, *, resized: bool = False) -> ImageFormat:
    return ImageFormat(mode="RGB", width=width, height=height, resized=resized, first=Path("first"))


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
@pytest.mark.parametrize("orientation", [None, *range(1, 9)])
def test_photographs_are_turned_as_a_viewer_shows_them(tmp_path: Path, suffix: str, orientation: int | None) -> None:
    file = photograph(tmp_path / f"a.{suffix}", orientation)
    bright = {None: "left", 1: "left", 2: "right", 3: "right", 4: "left", 5: "top", 6: "top", 7: "bottom", 8: "bottom"}
    size = (16, 24) if orientation in (5, 6, 7, 8) else (24, 16)
    assert read_header(file, sized=True)[1:] == size
    pixels = decode(file, form_of(*size)).mean(2)
    side = {"left": pixels[:, :8], "right": pixels[:, -8:], "top": pixels[:8], "bottom": pixels[-8:]}
    assert side[bright[orientation]].mean() > 200
    assert pixels.shape == size[::-1]


def test_the_size_is_that_of_the_turned_image(tmp_path: Path) -> None:
    upright, turned = photograph(tmp_path / "a.jpg", 1), photograph(tmp_path / "b.png", 6)
    for check in (decode_images, common_format):
        with pytest.raises(DataError, match=rf"\({upright} is 24x16, {turned} is 16x24\): type"):
            check([upright, turned], None)  # type: ignore[operator]


def test_a_damaged_orientation_is_passed_over(tmp_path: Path) -> None:
    file = save(Image.new("RGB", (24, 16)), tmp_path / "a.jpg", exif=b"Exif\0\0MM\0\x2a\xff\xff\xff\xff")
    assert read_header(file, sized=True)[1:] == (24, 16)
    assert decode(file, form_of(24, 16)).shape == (16, 24, 3)


@pytest.mark.parametrize("side", [8001, 12_000, 100_000])  # PIL itself: silent, a warning, an error
def test_too_many_pixels_are_refused_by_the_header(tmp_path: Path, side: int) -> None:
    file = tmp_path / "a.png"
    image_files.bomb(file, side)
    expected = f"cannot read image {file} (it has more than 64 million pixels): scale it down or remove it"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for size in (None, 8):
            for check in (decode_images, common_format):
                with pytest.raises(DataError) as caught:
                    check([file], size)  # type: ignore[operator]
                assert str(caught.value) == expected
    assert side**2 > MOST_PIXELS


def test_what_is_no_file_is_never_opened(tmp_path: Path) -> None:
    """To open a pipe would wait for ever; a device can have any length."""
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    (tmp_path / "folder.png").mkdir()
    for name in ("pipe.png", "zero.png", "folder.png"):
        for read in (lambda file: read_header(file, sized=True), lambda file: decode(file, form_of(8, 8))):
            with pytest.raises(DataError, match=rf"^cannot read image .*{name} \(it is no regular file\): repair it"):
                read(tmp_path / name)
    (tmp_path / "nowhere.png").symlink_to(tmp_path / "missing")
    with pytest.raises(DataError, match=r"No such file or directory"):
        read_header(tmp_path / "nowhere.png", sized=False)


def test_formats_that_start_a_program_are_not_recognised(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n")
    with pytest.raises(DataError, match="no image format is recognised"):
        read_header(file, sized=True)


def test_sixteen_bits_are_scaled_and_not_cut(tmp_path: Path) -> None:
    ramp = np.arange(64, dtype=np.uint16).reshape(8, 8) * 257 * 4
    file = save(Image.fromarray(ramp), tmp_path / "a.png")
    image_format = ImageFormat(mode="L", width=8, height=8, resized=False, first=file)
    assert decode(file, image_format).flatten().tolist() == [4 * value for value in range(64)]
