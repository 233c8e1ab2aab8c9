"""Images for a network whose source is lost: a folder of them, with classes or without."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from netslim.core.errors import DataError
from netslim.data.folder import class_files, has_folder, image_files
from netslim.data.reading.decode import decode_into
from netslim.data.reading.image_file import ColourError, ImageFormat
from netslim.models.onnx_import.source import Port
from netslim.stages.shared.lists import pixel_numbers, with_spaces

BATCH = 32
_COLOURS = (1, 3)


@dataclass(frozen=True)
class Files:
    """Image files by what they are for.

    Attributes:
        fitting: that layers are fitted on.
        judged: with the number of the class of each, in the order of the folders' names; empty without classes.
        classes: the folders' names.
    """

    fitting: tuple[Path, ...]
    judged: tuple[tuple[Path, int], ...] = ()
    classes: tuple[str, ...] = ()


def files_in(folder: Path, seed: int) -> Files:
    """The images of a folder: `train/<class>/` and `test/<class>/` (or `val`), or `<class>/`, or without classes.

    Where there is one part only, half of its images, drawn at random, are for fitting and the others are judged.

    Raises:
        DataError: there is none.
    """
    if has_folder(folder):
        train, test = class_files(folder, ("train",), ("test", "val"))
        names = [*train]
        judged = tuple((file, names.index(name)) for name, part in test.items() if name in names for file in part)
        return Files(_shuffled([file for part in train.values() for file in part], seed), judged, tuple(names))
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}: `data_dir` must name one with images in it")
    plain = image_files(folder)
    if plain:
        return Files(_shuffled(plain, seed))
    inner = sorted(part for part in folder.iterdir() if part.is_dir() and not part.name.startswith("."))
    classes = {part.name: image_files(part) for part in inner}
    named = [(file, number) for number, part in enumerate(classes.values()) for file in part]
    if not named:
        raise DataError(f"{folder} has no images, and no folders with images in it")
    random.Random(seed).shuffle(named)  # noqa: S311 - no secret
    half = len(named) // 2
    return Files(tuple(file for file, _ in named[:half]), tuple(named[half:]), tuple(classes))


def _shuffled(files: Sequence[Path], seed: int) -> tuple[Path, ...]:
    found = [*files]
    random.Random(seed).shuffle(found)  # noqa: S311 - no secret
    return tuple(found)


@dataclass(frozen=True)
class Reader:
    """Turns image files into what a network takes.

    Attributes:
        height, width, channels: of an image.
        last: whether the network takes the channels last.
        mean, std: per channel, of pixels scaled to 0..1.
    """

    height: int
    width: int
    channels: int
    last: bool
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, port: Port, mean: str | None, std: str | None) -> Reader:
        """For an input of a network. Raises ArgumentError for numbers that are none, DataError for no images."""
        if len(port.shape) != 4 or not port.dtype.is_floating_point:
            raise DataError(
                f"input '{port.name}' of {'x'.join(map(str, port.shape))} takes no images: leave `data_dir` out"
            )
        _, first, middle, end = port.shape
        last = first not in _COLOURS
        channels, height, width = (end, first, middle) if last else (first, middle, end)
        if channels not in _COLOURS:
            raise DataError(f"input '{port.name}' has {channels} channels; images have 1 or 3: leave `data_dir` out")
        numbers = [pixel_numbers(*given, channels) for given in (("mean", mean, 0.0), ("std", std, 1.0))]
        return cls(height, width, channels, last, *numbers)

    def batches(self, files: Sequence[Path]) -> Iterator[Tensor]:
        """The images of files, float32 (N, ...) as the network takes them. Raises DataError for one that is damaged."""
        for start in range(0, len(files), BATCH):
            yield self._batch(files[start : start + BATCH])

    def _batch(self, files: Sequence[Path]) -> Tensor:
        image_format = ImageFormat(
            mode="L" if self.channels == 1 else "RGB",
            height=self.height,
            width=self.width,
            resized=True,
            first=files[0],
        )
        pixels = np.empty((len(files), self.channels, self.height, self.width), np.uint8)
        try:
            decode_into(pixels, files, image_format)
        except ColourError:
            raise DataError(
                f"there are colour images among those of {files[0].parent}, and the network takes grey ones"
            ) from None
        shape = (1, -1, 1, 1)
        images = torch.from_numpy(pixels).float().div_(255)
        images = (images - torch.tensor(self.mean).view(shape)) / torch.tensor(self.std).view(shape)
        return images.permute(0, 2, 3, 1).contiguous() if self.last else images

    def __str__(self) -> str:
        said = f"{self.height}x{self.width}, {'grey' if self.channels == 1 else 'RGB'}, pixels of 0 to 1"
        plain = set(self.mean) == {0.0} and set(self.std) == {1.0}
        return said if plain else f"{said} less {with_spaces(self.mean)}, divided by {with_spaces(self.std)}"
