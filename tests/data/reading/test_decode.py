from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from image_files import colour, jpeg_without_end, png_without_end, save
from PIL import Image

from netslim.core.errors import DataError
from netslim.data import load_dataset


def test_many_images_keep_their_order(tmp_path: Path) -> None:
    """More than a chunk, so that several threads share them."""
    for index in range(200):
        save(Image.new("L", (4, 4), index), tmp_path / "train" / "x" / f"{index:03}.png")
    save(Image.new("L", (4, 4), 1), tmp_path / "test" / "x" / "0.png")
    images = load_dataset("folder", tmp_path).train.images
    assert images.shape == (200, 1, 4, 4)
    assert images[:, 0, 0, 0].tolist() == list(range(200))


def test_one_colour_image_makes_all_of_them_colour(root: Path) -> None:
    save(Image.new("L", (8, 8), 66), root / "train" / "ant" / "0.png")
    dataset = load_dataset("folder", root)
    assert dataset.in_channels == 3
    assert dataset.train.images[0, :, 0, 0].tolist() == [66, 66, 66]


def test_what_pil_remarks_on_odd_files_is_not_said(root: Path, recwarn: pytest.WarningsRecorder) -> None:
    palette = root / "train" / "ant" / "palette.png"
    save(colour().convert("P"), palette, transparency=bytes(range(256)))
    save(colour(), root / "train" / "ant" / "note.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    load_dataset("folder", root, image_size=8)
    assert not recwarn.list


@pytest.mark.parametrize(("target", "reason"), [("nowhere", "No such file"), ("x.png", "Too many levels of symbolic")])
def test_a_link_that_leads_nowhere_says_so_in_words(root: Path, target: str, reason: str) -> None:
    link = root / "train" / "ant" / "x.png"
    link.symlink_to(target)
    with pytest.raises(DataError, match=rf"^cannot read image {link} \({reason}[^/]*\): repair it or remove it$"):
        load_dataset("folder", root)


def test_the_short_side_is_scaled_and_the_middle_kept(root: Path) -> None:
    pixels = np.zeros((20, 60, 3), np.uint8)
    pixels[:, 16:44] = 200  # the square 20..40 and what a pixel at its edge is mixed from
    save(Image.fromarray(pixels), root / "train" / "ant" / "0.png")
    dataset = load_dataset("folder", root, image_size=10)
    assert dataset.image_size == (10, 10)
    assert torch.equal(dataset.train.images[0], torch.full((3, 10, 10), 200, dtype=torch.uint8))
    assert dataset.augmentation.pad == 1


def test_shrinking_is_antialiased(root: Path) -> None:
    pixels = np.tile(np.array([0, 200], np.uint8), (64, 32))
    save(Image.fromarray(pixels).convert("RGB"), root / "train" / "ant" / "0.png")
    middle = load_dataset("folder", root, image_size=8).train.images[0, :, :, 2:6].int()
    assert (middle - 100).abs().max() <= 2


@pytest.mark.parametrize(
    ("image", "name", "expected"),
    [
        (Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "a.tif", [255, 0, 0]),
        (Image.new("RGBA", (8, 8), (1, 2, 3, 0)), "a.png", [1, 2, 3]),
        (Image.new("LA", (8, 8), (9, 0)), "a.png", [9, 9, 9]),
        (Image.new("1", (8, 8), 1), "a.png", [255, 255, 255]),
        (Image.fromarray(np.full((8, 8), 257 * 77, np.uint16)), "a.png", [77, 77, 77]),
        (Image.fromarray(np.full((8, 8), 257 * 77, np.uint16)), "a.tif", [77, 77, 77]),
        (colour(value=(200, 100, 0)).quantize(4), "a.png", [200, 100, 0]),
    ],
    ids=["cmyk", "rgba", "grey-alpha", "bilevel", "16-bit-png", "16-bit-tif", "palette"],
)
def test_kinds_of_pixels(root: Path, image: Image.Image, name: str, expected: list[int]) -> None:
    save(image, root / "train" / "ant" / name)
    images = load_dataset("folder", root).train.images
    assert images[2, :, 3, 3].tolist() == expected


def test_of_an_animation_the_first_frame_counts(root: Path) -> None:
    frames = [colour(value=(255, 0, 0)), colour(value=(0, 255, 0))]
    save(frames[0], root / "train" / "ant" / "a.gif", save_all=True, append_images=frames[1:])
    assert load_dataset("folder", root).train.images[2, :, 0, 0].tolist() == [255, 0, 0]


def test_different_sizes_ask_for_a_size(root: Path) -> None:
    other = save(colour(9, 7), root / "test" / "bee" / "1.png")
    with pytest.raises(DataError) as caught:
        load_dataset("folder", root)
    assert str(caught.value) == (
        f"the images differ in size ({root / 'train' / 'ant' / '0.png'} is 8x8, {other} is 9x7): "
        "type `image_size=N` to bring all of them to NxN pixels"
    )


@pytest.mark.parametrize("image_size", [None, 4])
@pytest.mark.parametrize(
    "damage",
    [
        png_without_end,
        jpeg_without_end,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("<html>no image</html>"),
        lambda path: save(Image.new("F", (8, 8), 0.5), path, format="TIFF"),
    ],
    ids=["cut-png", "cut-jpeg", "empty", "html", "float"],
)
@pytest.mark.parametrize("name", ["0.png", "1.png"])  # the first image is opened twice, the others once
def test_a_bad_image_is_named(root: Path, damage: Any, image_size: int | None, name: str) -> None:
    path = root / "train" / "ant" / name
    damage(path)
    with pytest.raises(DataError, match=r"^cannot read image .*: repair it or remove it$") as caught:
        load_dataset("folder", root, image_size=image_size)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
