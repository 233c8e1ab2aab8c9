"""scikit-learn's handwritten digits: needs no files and no network."""

from pathlib import Path

import torch

from netslim.data.dataset import DATASETS, Augmentation, DataSet, ImageDataset, Source, Split
from netslim.data.resize import resize
from netslim.data.splits import split_validation
from netslim.data.statistics import channel_statistics

_TEST_IMAGES = 360
_SIZE = 16  # twice the original 8, so that networks for 32x32 images keep a picture to look at


def load_digits(_: Source) -> ImageDataset:
    """1,797 grey images of ten digits, 8x8 enlarged to 16x16; a fixed fifth (360 images) is the test part."""
    from sklearn.datasets import load_digits as embedded

    bunch = embedded()
    images = torch.from_numpy((bunch.images * (255 / 16)).round().astype("uint8"))  # 0..16 -> 0..255
    whole = Split(resize(images.unsqueeze(1), _SIZE), torch.from_numpy(bunch.target.astype("int64")))
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


def has_digits(_: Path) -> bool:
    """Always: they come with scikit-learn."""
    return True


DATASETS.register("digits")(DataSet(load=load_digits, is_available=has_digits, shape=(10, 1)))
