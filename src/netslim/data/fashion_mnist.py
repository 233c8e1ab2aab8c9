"""Fashion-MNIST (Xiao et al., 2017): 60,000 + 10,000 grey images of clothes, 28x28."""

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from netslim.core.download import download
from netslim.core.errors import DataError
from netslim.data.dataset import DATASETS, Augmentation, DatasetSpec, ImageDataset, Source, Split
from netslim.data.reading.bounded_read import read_file
from netslim.data.reading.verified import verify_content

_FOLDER = Path("FashionMNIST", "raw")
_MIRROR = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
# name -> MD5 of the published .gz file, which is downloaded, and MD5 of what is in it, which is what counts: local
# files may have been unpacked, or packed anew.
_FILES = {
    "train-images-idx3-ubyte": ("8d4fb7e6c68d591d4c3dfef9ec88bf0d", "f4a8712d7a061bf5bd6d2ca38dc4d50a"),
    "train-labels-idx1-ubyte": ("25c81989df183df01b3e8a0aad5dffbe", "9018921c3c673c538a1fc5bad174d6f9"),
    "t10k-images-idx3-ubyte": ("bef4ecab320f06d8554ea6380940ec79", "8181f5470baa50b63fa0f6fddb340f0a"),
    "t10k-labels-idx1-ubyte": ("bb300cfdad3c16e7a12a480ee83cd310", "15d484375f8d13e6eb1aabb0c3f46965"),
}
_MOST = 64_000_000  # bytes; the largest of the files has 47,040,016
_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


def load_fashion_mnist(source: Source) -> ImageDataset:
    """Fashion-MNIST from torchvision's layout, `FashionMNIST/raw/*-ubyte` packed (.gz) or not."""
    return ImageDataset(
        name="fashion-mnist",
        train=_split("train", source),
        test=_split("t10k", source),
        class_names=_CLASSES,
        mean=(0.2860,),
        std=(0.3530,),
        augmentation=Augmentation(pad=2, flip=True),
    )


def _split(part: str, source: Source) -> Split:
    images = _load(f"{part}-images-idx3-ubyte", 3, source)
    labels = _load(f"{part}-labels-idx1-ubyte", 1, source).to(torch.int64)
    folder = source.data_dir / _FOLDER
    if len(images) != len(labels):
        raise DataError(f"{folder} holds {len(images)} {part} images and {len(labels)} labels: delete the damaged file")
    if len(labels) == 0 or int(labels.max()) >= len(_CLASSES):
        raise DataError(f"{folder / f'{part}-labels-idx1-ubyte'} must hold labels 0..9 and no others: it is damaged")
    return Split(images.unsqueeze(1), labels)


def has_fashion_mnist(data_dir: Path) -> bool:
    """Whether all four files are there, packed or not."""
    return all(_path(name, data_dir).exists() for name in _FILES)


def _path(name: str, data_dir: Path) -> Path:
    """The file as it is, or else packed."""
    plain = data_dir / _FOLDER / name
    return plain if plain.exists() else plain.with_name(f"{name}.gz")


def _load(name: str, dimensions: int, source: Source) -> Tensor:
    packed_md5, md5 = _FILES[name]
    path = _path(name, source.data_dir)
    if not path.exists():
        download(path, [_MIRROR + path.name], f"md5:{packed_md5}")
    content = read_file(path, _MOST)
    verify_content(path, content, md5, unverified=source.unverified)
    return read_idx(path, content, dimensions)


def read_idx(path: Path, content: bytes, dimensions: int) -> Tensor:
    """The array in an idx file of unsigned bytes: magic 0, 0, 8, dimensions; big-endian sizes; the values.

    Args:
        path: the file, for the message.
        content: its bytes, unpacked.
        dimensions: how many the array must have.

    Returns:
        uint8, with the sizes the file gives.

    Raises:
        DataError: if it is another kind of file or its length is not what its sizes say.
    """
    header = 4 * (dimensions + 1)
    if content[:4] != bytes((0, 0, 8, dimensions)) or len(content) < header:
        raise DataError(
            f"{path} is not an idx file of bytes in {dimensions} dimensions: delete it to download it again"
        )
    sizes = [int(size) for size in np.frombuffer(content, ">u4", dimensions, offset=4)]
    if len(content) - header != math.prod(sizes):
        raise DataError(
            f"{path} holds {len(content) - header} values where its header says {math.prod(sizes)}: it is cut off or "
            "damaged, delete it to download it again"
        )
    if 0 in sizes:
        raise DataError(f"{path} holds nothing (its sizes are {sizes}): delete it to download it again")
    return torch.from_numpy(np.frombuffer(content, np.uint8, offset=header).reshape(sizes).copy())


DATASETS.register("fashion-mnist")(DatasetSpec(load=load_fashion_mnist, is_available=has_fashion_mnist, shape=(10, 1)))
