"""scikit-learn's handwritten digits: needs no files and no network."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from netslim.data.dataset import DATASETS, Augmentation, DatasetSpec, ImageDataset, Source, Split
from netslim.data.resize import resize
from netslim.data.splits import split_validation
from netslim.data.statistics import channel_statistics

_TEST_IMAGES = 360
_SIZE = 16  # twice the original 8, so that networks for 32x32 images keep a picture to look at


def load_digits(_: Source) -> ImageDataset:
    """1,797 grey images of ten digits, 8x8 enlarged to 16x16; a fixed fifth (360 images) is the test part."""
    pixels, labels = _embedded()
    images = torch.from_numpy((pixels * (255 / 16)).round().astype("uint8"))  # 0..16 -> 0..255
    whole = Split(resize(images.unsqueeze(1), _SIZE), torch.from_numpy(labels.astype("int64")))
    train, test = split_validation(whole, _TEST_IMAGES / len(whole), seed=0)
    mean, std = channel_statistics(train.images)
    return ImageDataset(
        name="digits",
        train=train,
        test=test,
        class_names=tuple(str(digit) for digit in range(10)),
        mean=mean,
        std=std,
        augmentation=Augmentation(pad=2, flip=False),
    )


def _embedded() -> tuple[NDArray[Any], NDArray[Any]]:
    """Images (1797, 8, 8) from 0 to 16, and classes, as `sklearn.datasets.load_digits` gives them.

    They are read from its file: to import scikit-learn takes more than a second. Were the file elsewhere, that is done.
    """
    package = importlib.util.find_spec("sklearn")
    folders = package.submodule_search_locations if package else None
    file = Path(folders[0], "datasets", "data", "digits.csv.gz") if folders else None
    if file is not None and file.is_file():
        table = np.loadtxt(file, delimiter=",")
        return table[:, :-1].reshape(-1, 8, 8), table[:, -1]
    from sklearn.datasets import load_digits as embedded

    bunch = embedded()
    return bunch.images, bunch.target


def has_digits(_: Path) -> bool:
    """Always: they come with scikit-learn."""
    return True


DATASETS.register("digits")(DatasetSpec(load=load_digits, is_available=has_digits, shape=(10, 1)))
