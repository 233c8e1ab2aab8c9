import struct
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from netslim.core.errors import DataError
from netslim.data import ImageDataset, TrainBatches, evaluation_batches, load_dataset, split_validation
from netslim.data import folder as folder_module
from netslim.data import host_memory as memory_module
from netslim.data.decode import THREADS
from netslim.data.streamed import StreamedSplit


def colour(width: int = 8, height: int = 8, value: tuple[int, int, int] = (10, 20, 30)) -> Image.Image:
    return Image.new("RGB", (width, height), value)


def save(image: Image.Image, path: Path, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two classes, two training images and one test image of each."""
    for label, name in enumerate(("ant", "bee")):
        for index in range(2):
            save(colour(value=(label * 100, index * 50, 7)), tmp_path / "train" / name / f"{index}.png")
        save(colour(value=(label * 100, 99, 7)), tmp_path / "test" / name / "0.png")
    return tmp_path


def test_a_folder(root: Path) -> None:
    (root / "train" / "ant" / ".hidden.png").write_bytes(b"no image")
    (root / "train" / "ant" / "notes.txt").write_text("no image")
    dataset = load_dataset("folder", root)
    assert dataset.class_names == ("ant", "bee")
    assert dataset.train.images.shape == (4, 3, 8, 8)
    assert dataset.train.labels.tolist() == [0, 0, 1, 1]
    assert dataset.test.labels.tolist() == [0, 1]
    assert dataset.train.images[:, :, 0, 0].tolist() == [[0, 0, 7], [0, 50, 7], [100, 0, 7], [100, 50, 7]]
    assert dataset.test.images[:, :, 4, 4].tolist() == [[0, 99, 7], [100, 99, 7]]
    assert dataset.mean == pytest.approx((50 / 255, 25 / 255, 7 / 255))
    assert dataset.std == pytest.approx((50 / 255, 25 / 255, 1.0))
    assert (dataset.augmentation.pad, dataset.augmentation.flip) == (1, True)


def test_val_stands_in_for_test(root: Path) -> None:
    (root / "test").rename(root / "val")
    assert len(load_dataset("folder", root).test) == 2


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


def png_without_end(path: Path) -> None:
    save(Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)), path)
    path.write_bytes(path.read_bytes()[:80])


def jpeg_without_end(path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    save(Image.fromarray(noise).resize((8, 8)), path, format="JPEG")
    path.write_bytes(path.read_bytes()[:-60])


def bomb(path: Path) -> None:
    """A PNG header that promises ten billion pixels."""
    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk)


@pytest.mark.parametrize("image_size", [None, 4])
@pytest.mark.parametrize(
    "damage",
    [
        png_without_end,
        jpeg_without_end,
        bomb,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("<html>no image</html>"),
        lambda path: save(Image.new("F", (8, 8), 0.5), path, format="TIFF"),
    ],
    ids=["cut-png", "cut-jpeg", "bomb", "empty", "html", "float"],
)
@pytest.mark.parametrize("name", ["0.png", "1.png"])  # the first image is opened twice, the others once
def test_a_bad_image_is_named(root: Path, damage: Any, image_size: int | None, name: str) -> None:
    path = root / "train" / "ant" / name
    damage(path)
    with pytest.raises(DataError, match=r"^cannot read image .*: repair it or remove it$") as caught:
        load_dataset("folder", root, image_size=image_size)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        load_dataset("folder", tmp_path)
    assert str(caught.value) == (
        f"there is no folder {tmp_path / 'train'}: "
        "`data_dir` must name a folder with train/<class>/ and test/<class>/ in it"
    )


def test_no_test_folder(root: Path) -> None:
    (root / "test").rename(root / "other")
    with pytest.raises(DataError, match=f"there is no folder {root / 'test'} or {root / 'val'}: `data_dir` must"):
        load_dataset("folder", root)


def test_no_classes(tmp_path: Path) -> None:
    save(colour(), tmp_path / "train" / "a.png")
    with pytest.raises(
        DataError, match=r"train has no class folders: put the images of each class in .*train/<class>/"
    ):
        load_dataset("folder", tmp_path)


def test_an_empty_class(root: Path) -> None:
    (root / "train" / "cat").mkdir()
    with pytest.raises(DataError, match=r"class folder .*cat has no images: add some or remove it"):
        load_dataset("folder", root)


@pytest.mark.parametrize(("part", "other"), [("train", "test"), ("test", "train")])
def test_a_class_in_one_part_only(root: Path, part: str, other: str) -> None:
    save(colour(), root / part / "cat" / "0.png")
    with pytest.raises(
        DataError, match=f"there are {part} images but no {other} images of 'cat': both need all classe"
    ):
        load_dataset("folder", root)


def in_files(root: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> ImageDataset:
    """The data set on a machine without memory for it."""
    with monkeypatch.context() as small:
        small.setattr(memory_module, "available_memory", lambda: 0)
        return load_dataset("folder", root, **options)


def noise(root: Path, train: int, test: int, size: tuple[int, int] = (8, 8)) -> Path:
    generator = np.random.default_rng(0)
    for index in range(train + test):
        pixels = generator.integers(0, 256, (*size, 3), dtype=np.uint8)
        part, label = "train" if index < train else "test", "ab"[index % 2]
        save(Image.fromarray(pixels), root / part / label / f"{index:03}.png")
    return root


@pytest.mark.parametrize("image_size", [None, 6])
def test_what_does_not_fit_stays_in_its_files_and_trains_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, image_size: int | None
) -> None:
    """The same splits, batches and augmentation, to the bit."""
    resident = load_dataset("folder", noise(tmp_path, 90, 20), image_size=image_size)
    streamed = in_files(tmp_path, monkeypatch, image_size=image_size)
    assert isinstance(streamed.train, StreamedSplit)
    assert not isinstance(resident.train, StreamedSplit)
    assert (streamed.mean, streamed.std) == (resident.mean, resident.std)
    assert (streamed.in_channels, streamed.image_size) == (resident.in_channels, resident.image_size)
    batches = []
    for dataset in (resident, streamed):
        train, val = split_validation(dataset.train, 0.2, 1)
        made = TrainBatches(train, dataset, batch_size=16, seed=3, device="cpu")
        batches.append([*made.epoch(0), *made.epoch(1, start=2)])
        for split in (val, dataset.test):
            batches[-1] += evaluation_batches(split, dataset, batch_size=7, device="cpu")
    assert len(batches[0]) == len(batches[1]) == 5 + 3 + 3 + 3
    for (images, labels), (again, same) in zip(*batches, strict=True):
        assert torch.equal(images, again)
        assert torch.equal(labels, same)


def test_no_more_batches_are_in_memory_than_there_are_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, asked = in_files(noise(tmp_path, 60, 2), monkeypatch), 0

    def wanted() -> Iterator[torch.Tensor]:
        nonlocal asked
        for index in range(len(dataset.train)):
            asked += 1
            yield torch.tensor([index])

    rows = dataset.train.rows(wanted())
    for done in range(1, 20):
        next(rows)
        assert asked == min(done + THREADS, 60)
    rows.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if "ThreadPoolExecutor" in thread.name]


def test_mean_and_deviation_of_images_in_files_are_of_some_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_module, "_SAMPLE", 30 * 3 * 64)
    dataset = in_files(noise(tmp_path, 90, 2), monkeypatch)
    assert dataset.mean == pytest.approx((0.5, 0.5, 0.5), abs=0.02)
    assert dataset.std == pytest.approx((0.2887,) * 3, abs=0.01)


def test_one_colour_image_in_files_makes_all_of_them_colour(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ant", "bee"):
        for file in (root / "train" / name / "0.png", root / "train" / name / "1.png", root / "test" / name / "0.png"):
            save(Image.new("L", (8, 8), 66), file)
    assert in_files(root, monkeypatch).in_channels == 1
    save(colour(), root / "test" / "bee" / "9.png")
    assert in_files(root, monkeypatch).in_channels == 3


def test_sizes_and_headers_of_images_in_files_are_looked_at_first(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = save(colour(9, 7), root / "test" / "bee" / "1.png")
    with pytest.raises(DataError, match=rf"the images differ in size .*{other} is 9x7.*type `image_size=N`"):
        in_files(root, monkeypatch)
    other.write_text("<html>no image</html>")
    with pytest.raises(DataError, match=rf"^cannot read image {other} \(no image format is recognised\): repair it"):
        in_files(root, monkeypatch, image_size=8)


def test_damage_that_a_header_hides_is_named_when_the_image_is_wanted(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = root / "test" / "bee" / "0.png"
    png_without_end(damaged)
    dataset = in_files(root, monkeypatch)
    with pytest.raises(DataError, match=rf"^cannot read image {damaged} .*: repair it or remove it$"):
        list(evaluation_batches(dataset.test, dataset, batch_size=2, device="cpu"))
