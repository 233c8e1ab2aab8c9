"""Image files -> one uint8 tensor, decoded by a few threads (PIL lets go of the interpreter lock while it decodes)."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from netslim.data.reading.image_file import GREY, ColourError, ImageFormat, Pixels, another_size, decode, read_header

T = TypeVar("T")

THREADS = min(8, os.cpu_count() or 1)
_CHUNK = 64


def decode_images(files: Sequence[Path], size: int | None) -> Tensor:
    """Decodes images, all to one size: the short side is scaled to `size` (bilinear, antialiased), the middle cut out.

    16-bit pixels are scaled to 8 bits; palettes and CMYK become RGB; transparency is dropped; of an animation the first
    frame counts. Photographs are turned as their EXIF orientation says, before anything else.

    Args:
        files: at least one image file.
        size: pixels per side, or None if all images have one size already.

    Returns:
        uint8, shape (N, C, H, W); one channel if all images are grey, else three.

    Raises:
        DataError: for a file that cannot be decoded, or images of several sizes without `size`.
    """
    image_format = first_format(files[0], size)
    with suppress(ColourError):
        return _decode_all(files, image_format)
    return _decode_all(files, replace(image_format, mode="RGB"))


def first_format(file: Path, size: int | None) -> ImageFormat:
    """What all images are brought to if they are like the first one. Raises DataError if its header is damaged."""
    with _without_warnings():
        mode, width, height = read_header(file, sized=size is None)
    if size is not None:
        width = height = size
    mode = "L" if mode in GREY else "RGB"
    return ImageFormat(mode=mode, height=height, width=width, resized=size is not None, first=file)


def common_format(files: Sequence[Path], size: int | None) -> ImageFormat:
    """What all images are brought to, from their headers alone.

    Raises:
        DataError: for a damaged header, or images of several sizes without `size`.
    """
    image_format, modes = first_format(files[0], size), set()

    def look(file: Path) -> None:
        mode, width, height = read_header(file, sized=not image_format.resized)
        if not image_format.resized and (width, height) != (image_format.width, image_format.height):
            raise another_size(file, (width, height), image_format)
        modes.add(mode in GREY)

    _in_threads(look, files)
    return replace(image_format, mode="L" if all(modes) else "RGB")


def decode_into(images: Pixels, files: Sequence[Path], image_format: ImageFormat) -> None:
    """Decodes files into `images`, uint8 (N, C, H, W). Raises DataError for one that cannot be decoded."""
    for image, file in zip(images, files, strict=True):
        pixels = decode(file, image_format)
        image[:] = pixels if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _decode_all(files: Sequence[Path], image_format: ImageFormat) -> Tensor:
    images = np.empty((len(files), len(image_format.mode), image_format.height, image_format.width), np.uint8)

    def fill(start: int) -> None:
        decode_into(images[start : start + _CHUNK], files[start : start + _CHUNK], image_format)

    _in_threads(fill, range(0, len(files), _CHUNK))
    return torch.from_numpy(images)


def _in_threads(act: Callable[[T], None], items: Iterable[T]) -> None:
    """Acts on all items; the first error ends it."""
    pool = ThreadPoolExecutor(THREADS)
    try:
        with _without_warnings():
            for _ in pool.map(act, items):
                pass
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Without PIL's warnings: large images are errors here, and odd notes in a file need no line each.

    Filters are the process's: not for pool threads.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield
