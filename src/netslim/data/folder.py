"""Any images in folders: train/<class>/* and test/<class>/* (or val/<class>/*)."""

from pathlib import Path

import torch

from netslim.core.errors import DataError
from netslim.data.dataset import AT_HAND, DATASETS, Augmentation, ImageDataset, Source, Split
from netslim.data.decode import decode_images
from netslim.data.statistics import channel_statistics

_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}

_TRAIN, _TEST = ("train",), ("test", "val")

ClassFiles = dict[str, list[Path]]


@DATASETS.register("folder")
def load_folder(source: Source) -> ImageDataset:
    """The images under `data_dir`; classes are the sorted names of the class folders.

    `test` is taken where both `test` and `val` exist. Hidden files and files that are no images by their suffix are
    passed over. The images are grey if all of them are, else colour.
    """
    train = _class_files(source.data_dir, _TRAIN)
    test = _class_files(source.data_dir, _TEST)
    _check_same_classes(source.data_dir, train, test)
    files = [file for part in (train, test) for group in part.values() for file in group]
    images = decode_images(files, source.image_size)
    labels = torch.tensor([label for part in (train, test) for label, group in enumerate(part.values()) for _ in group])
    count = sum(len(group) for group in train.values())
    mean, std = channel_statistics(images[:count])
    return ImageDataset(
        name="folder",
        train=Split(images[:count], labels[:count]),
        test=Split(images[count:], labels[count:]),
        class_names=tuple(train),
        mean=mean,
        std=std,
        augmentation=Augmentation(pad=images.shape[3] // 8, flip=True),
    )


@AT_HAND.register("folder")
def has_folder(data_dir: Path) -> bool:
    """Whether both parts are there."""
    return all(_part(data_dir, parts) is not None for parts in (_TRAIN, _TEST))


def _part(root: Path, parts: tuple[str, ...]) -> Path | None:
    """The first of `parts` that is a folder in `root`."""
    return next((root / part for part in parts if (root / part).is_dir()), None)


def _class_files(root: Path, parts: tuple[str, ...]) -> ClassFiles:
    """Class name -> its sorted image files, for the first of `parts` that is a folder in `root`."""
    part = _part(root, parts)
    if part is None:
        raise DataError(
            f"there is no folder {' or '.join(str(root / part) for part in parts)}: "
            "--data-dir must name a folder with train/<class>/ and test/<class>/ in it"
        )
    folders = sorted(entry for entry in part.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if not folders:
        raise DataError(f"{part} has no class folders: put the images of each class in {part}/<class>/")
    classes = {folder.name: _image_files(folder) for folder in folders}
    for folder in folders:
        if not classes[folder.name]:
            raise DataError(f"class folder {folder} has no images: add some or remove it")
    return classes


def _image_files(folder: Path) -> list[Path]:
    return sorted(
        file for file in folder.iterdir() if file.suffix.lower() in _SUFFIXES and not file.name.startswith(".")
    )


def _check_same_classes(root: Path, train: ClassFiles, test: ClassFiles) -> None:
    only_train = [f"'{name}'" for name in train if name not in test]
    only_test = [f"'{name}'" for name in test if name not in train]
    for names, where, other in ((only_train, "train", "test"), (only_test, "test", "train")):
        if names:
            some = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
            raise DataError(
                f"in {root} there are {where} images but no {other} images of {some}: both need all classes"
            )
