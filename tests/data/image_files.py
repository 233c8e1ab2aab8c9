"""Image files for the tests of this room, whole and damaged."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from netslim.data import ImageDataset, load_dataset
from netslim.data import host_memory as memory_module


def colour(width: int = 8, height: int = 8, value: tuple[int, int, int] = (10, 20, 30)) -> Image.Image:
    return Image.new("RGB", (width, height), value)


def save(image: Image.Image, path: Path, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)
    return path


def photograph(path: Path, orientation: int | None) -> Path:
    """24x16, the left half 250, the right half 10, as stored; with an EXIF orientation unless it is None."""
    pixels = np.full((16, 24, 3), 10, np.uint8)
    pixels[:, :12] = 250
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    return save(Image.fromarray(pixels), path, exif=exif)


def png_without_end(path: Path) -> None:
    save(Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)), path)
    path.write_bytes(path.read_bytes()[:80])


def jpeg_without_end(path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    save(Image.fromarray(noise).resize((8, 8)), path, format="JPEG")
    path.write_bytes(path.read_bytes()[:-60])


def bomb(path: Path, side: int = 100_000) -> None:
    """A PNG that promises side * side pixels, in its header alone."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = zlib.compress(b"")
    chunks = [(b"IHDR", header), (b"IDAT", data), (b"IEND", b"")]
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
            for kind, content in chunks
        )
    )


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
