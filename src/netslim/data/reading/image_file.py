"""One image file: what its header says, and its pixels, upright. Nothing that would take the memory is decoded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from netslim.core.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

Pixels: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]

MOST_PIXELS = 64_000_000  # of one image: a file of some kilobytes can promise billions
GREY = ("1", "L", "LA", "I", "I;16", "I;16L", "I;16B", "I;16N")
# What the suffixes of image folders name. PIL knows others, some of which start a program to be decoded (EPS).
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
_SIDEWAYS = (5, 6, 7, 8)  # the EXIF orientations that exchange width and height


class ColourError(Exception):
    """A colour image among those taken for grey."""


@dataclass(frozen=True, kw_only=True)
class ImageFormat:
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


def read_header(file: Path, *, sized: bool) -> tuple[str, int, int]:
    """Mode, width and height of an image, from its header.

    Args:
        file: the image file.
        sized: whether width and height matter: only then is the EXIF orientation looked for, which can stand behind the
            pixels of a PNG.

    Raises:
        DataError: the file is no image, is damaged, or has more than `MOST_PIXELS` pixels.
    """
    with _opened(file) as image:
        width, height = image.size
        if sized and width != height and _sideways(image):
            width, height = height, width
        return image.mode, width, height


def decode(file: Path, image_format: ImageFormat) -> Pixels:
    """One image, turned as its EXIF orientation says, uint8, shape (H, W) or (H, W, 3).

    Raises:
        DataError: it can't be decoded, has another size, or has more than `MOST_PIXELS` pixels.
        ColourError: it is a colour image and the format is grey.
    """
    with _opened(file) as image:
        if image_format.mode == "L" and image.mode not in GREY:
            raise ColourError
        _turn_upright_(image)
        if not image_format.resized and image.size != (image_format.width, image_format.height):
            raise another_size(file, image.size, image_format)
        return np.asarray(_square(_as_mode(image, image_format.mode), image_format))


def another_size(file: Path, size: tuple[int, int], image_format: ImageFormat) -> DataError:
    """The error for an image of another (width, height) than the first one's."""
    return DataError(
        f"the images differ in size ({image_format.first} is {image_format.width}x{image_format.height}, {file} is "
        f"{size[0]}x{size[1]}): type `image_size=N` to bring all of them to NxN pixels"
    )


@contextmanager
def _opened(file: Path) -> Iterator[Image]:
    """The image, not decoded yet. Whatever goes wrong with it is a DataError that names the file."""
    from PIL import Image

    try:
        _check_regular(file)
        with Image.open(file, formats=_FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise _too_large(file)
            yield image
    except (ColourError, DataError):
        raise
    except Image.DecompressionBombError as error:
        raise _too_large(file) from error
    except Exception as error:  # damaged files make PIL's decoders fail with many kinds of errors
        raise _unreadable(file, error) from error


def _check_regular(file: Path) -> None:
    """Raises OSError for a file that is not there or must not be opened, because that could wait for ever."""
    if not file.is_file():
        file.stat()
        raise OSError("it is no regular file")


def _sideways(image: Image) -> bool:
    """Whether the EXIF orientation exchanges width and height. PIL has turned a TIFF file's itself."""
    with suppress(Exception):  # a damaged note is no reason to refuse an image
        return image.format != "TIFF" and image.getexif().get(0x0112) in _SIDEWAYS
    return False


def _turn_upright_(image: Image) -> None:
    """Decodes the image, and turns and mirrors it as its EXIF orientation says."""
    from PIL import ImageOps

    image.load()
    with suppress(Exception):  # as above
        ImageOps.exif_transpose(image, in_place=True)


def _as_mode(image: Image, mode: str) -> Image:
    """The image as "L" or "RGB", 8 bits per channel."""
    from PIL import Image

    if image.mode == "F":
        raise ValueError("pixels are floating-point numbers of unknown range")
    if image.mode.startswith("I"):  # PIL would clip 16-bit values to 255 instead of scaling them
        wide = np.asarray(image).clip(0, 65535)
        image = Image.fromarray((wide // 257).astype(np.uint8))
    return image.convert(mode)


def _square(image: Image, image_format: ImageFormat) -> Image:
    """The middle square of the image at the size of the format; PIL scales just the part in `box`."""
    from PIL import Image

    if image.size == (image_format.width, image_format.height):
        return image
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    box = (left, top, left + side, top + side)
    return image.resize((image_format.width, image_format.height), Image.Resampling.BILINEAR, box=box)


def _too_large(file: Path) -> DataError:
    return DataError(
        f"cannot read image {file} (it has more than {MOST_PIXELS // 1_000_000} million pixels): "
        "scale it down or remove it"
    )


def _unreadable(file: Path, error: Exception) -> DataError:
    from PIL import UnidentifiedImageError

    text = (error.strerror if isinstance(error, OSError) else None) or str(error)
    unknown = isinstance(error, UnidentifiedImageError)
    reason = "no image format is recognised" if unknown else " ".join(text.split()) or type(error).__name__
    return DataError(f"cannot read image {file} ({reason}): repair it or remove it")
