"""Any images in folders: train/<class>/* and test/<class>/* (or val/<class>/*)."""

import os
import warnings
from pathlib import Path

import torch
from torch import Tensor

from netslim.core.errors import DataError, NetslimWarning, first_of
from netslim.data.dataset import DATASETS, Augmentation, DatasetSpec, ImageDataset, Source, Split
from netslim.data.host_memory import fits
from netslim.data.reading.decode import common_format, decode_images, first_format
from netslim.data.statistics import channel_statistics
from netslim.data.streamed import StreamedSplit, streamed

_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
_OTHER_KINDS = {  # of images, which nothing here reads
    *(".heic", ".heif", ".hif", ".avif", ".jxl", ".svg", ".svgz", ".jp2", ".j2k", ".jpf", ".jpx", ".jpeg2000", ".jfif"),
    *(".jpe", ".pbm", ".pnm", ".tga", ".exr", ".hdr", ".ico", ".psd", ".psb", ".xcf", ".raw", ".dng", ".cr2", ".cr3"),
    *(".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".orf", ".rw2", ".raf", ".pef", ".srw", ".x3f", ".3fr", ".erf"),
}

_SAMPLE = 256 * 1024 * 1024  # bytes of images in files that are decoded for the mean and the standard deviation
_TRAIN, _TEST = ("train",), ("test", "val")

ClassFiles = dict[str, list[Path]]


def load_folder(source: Source) -> ImageDataset:
    """The images under `data_dir`; classes are the sorted names of the class folders.

    `test` is taken where both `test` and `val` exist. Folders in a class's folder belong to it; what is hidden, and
    files that are no images by their suffix, are passed over; images of kinds that can't be read are a
    `NetslimWarning`. The images are grey if all of them are, else colour. They are decoded into memory if they fit
    there twice (a validation part is cut out by copying), else whenever they are needed.
    """
    train, test = class_files(source.data_dir, _TRAIN, _TEST)
    _check_same_classes(source.data_dir, train, test)
    files = [file for part in (train, test) for group in part.values() for file in group]
    labels = torch.tensor([label for part in (train, test) for label, group in enumerate(part.values()) for _ in group])
    images = _images(files, labels, source.image_size)
    count = sum(len(group) for group in train.values())
    shown = images.part(slice(count))
    mean, std = channel_statistics(_sample(shown))
    return ImageDataset(
        name="folder",
        train=shown,
        test=images.part(slice(count, None)),
        class_names=tuple(train),
        mean=mean,
        std=std,
        augmentation=Augmentation(pad=images.images.shape[3] // 8, flip=True),
    )


def has_folder(data_dir: Path) -> bool:
    """Whether both parts are there."""
    return all(_part(data_dir, parts) is not None for parts in (_TRAIN, _TEST))


def _images(files: list[Path], labels: Tensor, size: int | None) -> Split:
    image_format = first_format(files[0], size)
    if fits(2 * len(files) * len(image_format.mode) * image_format.height * image_format.width):
        return Split(decode_images(files, size), labels)
    return streamed(tuple(files), labels, common_format(files, size))


def _sample(split: Split) -> Tensor:
    """The images that mean and standard deviation are taken from: all of them, or some MB of those in files."""
    if not isinstance(split, StreamedSplit):
        return split.images
    count = min(len(split), max(1, _SAMPLE // split.images[0].numel()))
    spread = torch.linspace(0, len(split) - 1, count).long()
    return torch.cat([images for _, images in split.rows(torch.split(spread, 64))])


def _part(root: Path, parts: tuple[str, ...]) -> Path | None:
    """The first of `parts` that is a folder in `root`."""
    return next((root / part for part in parts if (root / part).is_dir()), None)


def class_files(root: Path, *parts: tuple[str, ...]) -> list[ClassFiles]:
    """Of each part: class name -> its sorted image files, for the first of its names that is a folder in `root`.

    Images of kinds that can't be read are left out, which is one `NetslimWarning` for all parts.

    Raises:
        DataError: a part or the images of a class are not there, or a link leads out of a class and back into it.
    """
    found = [_files_of_classes(root, names) for names in parts]
    unread = {folder: _unread(files) for part in found for folder, files in part.items()}
    for part in found:
        for folder, files in part.items():
            if not any(_is_image(file) for file in files):
                raise DataError(_no_images(folder, unread[folder]))
    if unread := {folder: files for folder, files in unread.items() if files}:
        warnings.warn(_left_out(unread), NetslimWarning, stacklevel=3)
    return [
        {folder.name: [file for file in files if _is_image(file)] for folder, files in part.items()} for part in found
    ]


def _files_of_classes(root: Path, names: tuple[str, ...]) -> dict[Path, list[Path]]:
    """Class folder -> what is in it, both sorted by name."""
    part = _part(root, names)
    if part is None:
        raise DataError(
            f"there is no folder {' or '.join(str(root / name) for name in names)}: "
            "`data_dir` must name a folder with train/<class>/ and test/<class>/ in it"
        )
    folders = sorted(entry for entry in part.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if not folders:
        raise DataError(f"{part} has no class folders: put the images of each class in {part}/<class>/")
    return {folder: _files_below(folder) for folder in folders}


def _unread(files: list[Path]) -> list[Path]:
    """The images that have to be converted."""
    return [file for file in files if file.suffix.lower() in _OTHER_KINDS]


def _kinds(files: list[Path]) -> str:
    return first_of(sorted({file.suffix.lower() for file in files}), 3)


def _no_images(folder: Path, unread: list[Path]) -> str:
    if not unread:
        return f"class folder {folder} has no images: add some or remove it"
    return f"class folder {folder} has no images that can be read ({len(unread):,} are {_kinds(unread)}): convert them"


def _left_out(unread: dict[Path, list[Path]]) -> str:
    """What is said of images that can't be read: the first class folder that has some, and how many more there are."""
    folder, more = next(iter(unread)), len(unread) - 1
    where = f"{folder} and {more} more folder{'s' if more > 1 else ''}" if more else folder
    files = [file for some in unread.values() for file in some]
    what = "file in {} is no image" if len(files) == 1 else "files in {} are no images"
    return f"{len(files):,} {what.format(where)} that can be read ({_kinds(files)}): convert them"


def image_files(folder: Path) -> list[Path]:
    """The images in a folder by their suffixes, sorted; hidden ones are passed over."""
    return sorted(file for file in folder.iterdir() if _is_image(file))


def _files_below(folder: Path) -> list[Path]:
    """What is in the folder of a class and in those below it, as torchvision's ImageFolder goes through them.

    Links to folders are followed, each folder once; one that leads to where the class itself lies is refused, because
    other classes may be there, too. What is hidden is passed over.
    """
    own = Path(os.path.realpath(folder)), Path(os.path.realpath(folder.parent), folder.name)
    found, seen = list[Path](), set[str]()
    for root, folders, files in os.walk(folder, followlinks=True):
        if (place := os.path.realpath(root)) in seen:
            folders.clear()
            continue
        if any(Path(place) in path.parents for path in own):
            raise DataError(f"{root} is a link to {place}, which contains the class folder {folder}: remove the link")
        seen.add(place)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(root, name) for name in files if not name.startswith(".")]
    return sorted(found)


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in _SUFFIXES and not file.name.startswith(".")


def _check_same_classes(root: Path, train: ClassFiles, test: ClassFiles) -> None:
    only_train = [f"'{name}'" for name in train if name not in test]
    only_test = [f"'{name}'" for name in test if name not in train]
    for names, where, other in ((only_train, "train", "test"), (only_test, "test", "train")):
        if names:
            raise DataError(
                f"in {root} there are {where} images but no {other} images of {first_of(names, 5)}: "
                "both need all classes"
            )


DATASETS.register("folder")(DatasetSpec(load=load_folder, is_available=has_folder))
