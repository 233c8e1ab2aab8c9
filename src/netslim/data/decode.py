"""Image files -> one uint8 tensor, decoded by a few threads (PIL lets go of the interpreter lock while it decodes)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import numpy as np
import torch
from torch import Tensor

from netslim.core.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

Pixels: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
T = TypeVar("T")

THREADS = min(8, os.cpu_count() or 1)
_CHUNK = 64
_GREY = ("1", "L", "LA", "I", "I;16", "I;16L", "I;16B", "I;16N")


class _ColourError(Exception):
    """A colour image among those taken for grey."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """What every image is brought to.

    Attributes:
        mode: PIL's name of the pixels: `L` for grey ones, else `RGB`.
        height, width: in pixels.
        resized: whether an image may be scaled and cut for that.
        first: the file that `height` and `width` are of if nothing is resized.
    """

    mode: str
    height: int
    width: int
    resized: bool
    first: Path


def decode_images(files: Sequence[Path], size: int | None) -> Tensor:
    """Decodes images, all to one size: the short side is scaled to `size` (bilinear, antialiased), the middle cut out.

    16-bit pixels are scaled to 8 bits; palettes and CMYK become RGB; transparency is dropped; of an animation the first
    frame counts.

    Args:
        files: at least one image file.
        size: pixels per side, or None if all images have one size already.

    Returns:
        uint8, shape (N, C, H, W); one channel if all images are grey, else three.

    Raises:
        DataError: for a file that cannot be decoded, or images of several sizes without `size`.
    """
    form = first_form(files[0], size)
    with suppress(_ColourError):
        return _decode_all(files, form)
    return _decode_all(files, replace(form, mode="RGB"))


def first_form(file: Path, size: int | None) -> Form:
    """What all images are brought to if they are like the first one. Raises DataError if its header is damaged."""
    mode, width, height = _probe(file)
    if size is not None:
        width = height = size
    mode = "L" if mode in _GREY else "RGB"
    return Form(mode=mode, height=height, width=width, resized=size is not None, first=file)


def common_form(files: Sequence[Path], size: int | None) -> Form:
    """What all images are brought to, from their headers alone.

    Raises:
        DataError: for a damaged header, or images of several sizes without `size`.
    """
    form, modes = first_form(files[0], size), set()

    def look(file: Path) -> None:
        mode, width, height = _probe(file)
        if not form.resized and (width, height) != (form.width, form.height):
            raise _another_size(file, (width, height), form)
        modes.add(mode in _GREY)

    _in_threads(look, files)
    return replace(form, mode="L" if all(modes) else "RGB")


def decode_into(images: Pixels, files: Sequence[Path], form: Form) -> None:
    """Decodes files into `images`, uint8 (N, C, H, W). Raises DataError for one that cannot be decoded."""
    for image, file in zip(images, files, strict=True):
        pixels = _decode(file, form)
        image[:] = pixels if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _decode_all(files: Sequence[Path], form: Form) -> Tensor:
    images = np.empty((len(files), len(form.mode), form.height, form.width), np.uint8)

    def fill(start: int) -> None:
        decode_into(images[start : start + _CHUNK], files[start : start + _CHUNK], form)

    _in_threads(fill, range(0, len(files), _CHUNK))
    return torch.from_numpy(images)


def _in_threads(act: Callable[[T], None], items: Iterable[T]) -> None:
    """Acts on all items; the first error ends it."""
    pool = ThreadPoolExecutor(THREADS)
    try:
        for _ in pool.map(act, items):
            pass
    finally:
        pool.shutdown(cancel_futures=True)


def _probe(file: Path) -> tuple[str, int, int]:
    """Mode, width and height of an image, from its header."""
    from PIL import Image

    try:
        with Image.open(file) as image:
            return image.mode, image.width, image.height
    except Exception as error:  # as in _decode
        raise _unreadable(file, error) from error


def _decode(file: Path, form: Form) -> Pixels:
    """One image, uint8, shape (H, W) or (H, W, 3)."""
    from PIL import Image

    try:
        with Image.open(file) as image:
            if form.mode == "L" and image.mode not in _GREY:
                raise _ColourError
            if not form.resized and image.size != (form.width, form.height):
                raise _another_size(file, image.size, form)
            return np.asarray(_square(_as_mode(image, form.mode), form))
    except (_ColourError, DataError):
        raise
    except Exception as error:  # damaged files make PIL's decoders fail with many kinds of errors
        raise _unreadable(file, error) from error


def _as_mode(image: Image, mode: str) -> Image:
    """The image as "L" or "RGB", 8 bits per channel."""
    from PIL import Image

    if image.mode == "F":
        raise ValueError("pixels are floating-point numbers of unknown range")
    if image.mode.startswith("I"):  # PIL would clip 16-bit values to 255 instead of scaling them
        wide = np.asarray(image).astype(np.int64)
        image = Image.fromarray((wide.clip(0, 65535) // 257).astype(np.uint8))
    return image.convert(mode)


def _square(image: Image, form: Form) -> Image:
    """The middle square of the image at the form's size; PIL scales just the part in `box`."""
    from PIL import Image

    if image.size == (form.width, form.height):
        return image
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    box = (left, top, left + side, top + side)
    return image.resize((form.width, form.height), Image.Resampling.BILINEAR, box=box)


def _another_size(file: Path, size: tuple[int, int], form: Form) -> DataError:
    return DataError(
        f"the images differ in size ({form.first} is {form.width}x{form.height}, {file} is {size[0]}x{size[1]}): "
        "type `image_size=N` to bring all of them to NxN pixels"
    )


def _unreadable(file: Path, error: Exception) -> DataError:
    from PIL import UnidentifiedImageError

    unknown = isinstance(error, UnidentifiedImageError)
    reason = "no image format is recognised" if unknown else " ".join(str(error).split()) or type(error).__name__
    return DataError(f"cannot read image {file} ({reason}): repair it or remove it")
