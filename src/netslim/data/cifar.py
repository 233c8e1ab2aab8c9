"""CIFAR-10 and CIFAR-100 (Krizhevsky, 2009): 50,000 + 10,000 colour images, 32x32, from the official Python files."""

import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import torch

from netslim.core.download import download
from netslim.core.errors import DataError
from netslim.data.dataset import DATASETS, Augmentation, DatasetSpec, ImageDataset, Source, Split
from netslim.data.reading.bounded_read import read_file, unpacked
from netslim.data.reading.restricted_pickle import load_plain
from netslim.data.reading.verified import verify_contents, verify_file

_PIXELS = 3 * 32 * 32
_MOST = 256_000_000  # bytes of a file; the largest, of CIFAR-100, has 155 MB


@dataclass(frozen=True, kw_only=True)
class CifarRelease:
    """The published files of one of the two data sets: names, keys, MD5 hashes.

    Attributes:
        archive, md5, size: the archive's name, hash and bytes.
        folder: where its files are, in the archive and unpacked.
        train, test, meta: file name -> MD5.
        labels_key, names_key: where the labels stand in a batch, and the class names in `meta`.
    """

    archive: str
    md5: str
    size: int
    folder: str
    train: Mapping[str, str]
    test: Mapping[str, str]
    meta: Mapping[str, str]
    labels_key: str
    names_key: str

    @property
    def files(self) -> dict[str, str]:
        """All files that are needed, with their MD5."""
        return {**self.train, **self.test, **self.meta}

    @property
    def mirrors(self) -> list[str]:
        """Where the archive is served: the author's page, and PaddlePaddle's copy of the same bytes."""
        hosts = ("https://www.cs.toronto.edu/~kriz/", "https://dataset.bj.bcebos.com/cifar/")
        return [host + self.archive for host in hosts]


CIFAR10 = CifarRelease(
    archive="cifar-10-python.tar.gz",
    md5="c58f30108f718f92721af3b95e74349a",
    size=170_498_071,
    folder="cifar-10-batches-py",
    train={
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    },
    test={"test_batch": "40351d587109b95175f43aff81a1287e"},
    meta={"batches.meta": "5ff9c542aee3614f3951f8cda6e48888"},
    labels_key="labels",
    names_key="label_names",
)
CIFAR100 = CifarRelease(
    archive="cifar-100-python.tar.gz",
    md5="eb9058c3a382ffc7106e4002c42a8d85",
    size=169_001_437,
    folder="cifar-100-python",
    train={"train": "16019d7e3df5f24257cddd939b257f8d"},
    test={"test": "f0ef6b0ae62326f3e7ffdfab6717acfc"},
    meta={"meta": "7973b15100ade9c7d40fb424638fde48"},
    labels_key="fine_labels",
    names_key="fine_label_names",
)


def load_cifar10(source: Source) -> ImageDataset:
    """CIFAR-10: ten classes."""
    return _load("cifar10", CIFAR10, source)


def load_cifar100(source: Source) -> ImageDataset:
    """CIFAR-100: its hundred fine classes."""
    return _load("cifar100", CIFAR100, source)


def has_cifar10(data_dir: Path) -> bool:
    """Whether its files, or the archive, are there."""
    return _unpacked(CIFAR10, data_dir) or (data_dir / CIFAR10.archive).exists()


def has_cifar100(data_dir: Path) -> bool:
    """Whether its files, or the archive, are there."""
    return _unpacked(CIFAR100, data_dir) or (data_dir / CIFAR100.archive).exists()


def _unpacked(release: CifarRelease, data_dir: Path) -> bool:
    return all((data_dir / release.folder / file).is_file() for file in release.files)


def _load(name: str, release: CifarRelease, source: Source) -> ImageDataset:
    contents = {file: _dictionary(load_plain(data, file), file) for file, data in _read_files(release, source).items()}
    names = _class_names(contents, release)
    return ImageDataset(
        name=name,
        train=_split(contents, release.train, release.labels_key, len(names)),
        test=_split(contents, release.test, release.labels_key, len(names)),
        class_names=names,
        mean=(0.4914, 0.4822, 0.4465),
        std=(0.2023, 0.1994, 0.2010),
        augmentation=Augmentation(pad=4, flip=True),
    )


def _read_files(release: CifarRelease, source: Source) -> dict[str, bytes]:
    """The bytes of all needed files: from the unpacked folder if it is complete, else from the archive."""
    folder = source.data_dir / release.folder
    if _unpacked(release, source.data_dir):
        contents = {file: read_file(folder / file, _MOST) for file in release.files}
        given = {folder / file: (contents[file], md5) for file, md5 in release.files.items()}
        verify_contents(given, unverified=source.unverified)
        return contents
    archive = source.data_dir / release.archive
    if archive.exists():
        verify_file(archive, release.md5, unverified=source.unverified)
    else:
        download(archive, release.mirrors, f"md5:{release.md5}", size=release.size)
    return _read_archive(archive, release)


def _read_archive(archive: Path, release: CifarRelease) -> dict[str, bytes]:
    """The needed files of the archive, read in one pass and never unpacked to disk."""
    wanted = {f"{release.folder}/{file}": file for file in release.files}
    contents: dict[str, bytes] = {}
    try:
        with unpacked(archive, 2 * _MOST) as stream, tarfile.open(fileobj=cast(IO[bytes], stream), mode="r|") as tar:
            for member in tar:
                file = wanted.get(member.name)
                if file is not None and member.isfile():
                    contents[file] = _read_member(tar, member, archive)
    except tarfile.TarError as error:
        raise DataError(f"{archive} is damaged ({error}): delete it to download it again") from error
    missing = [file for file in release.files if file not in contents]
    if missing:
        raise DataError(f"{archive} lacks {', '.join(missing)}: delete it to download it again")
    return contents


def _read_member(tar: tarfile.TarFile, member: tarfile.TarInfo, archive: Path) -> bytes:
    """A file of the archive. The size is looked at first: a sparse file of any size can be stored in a few bytes."""
    if member.size > _MOST:
        raise DataError(
            f"{archive} is damaged ({member.name} claims {member.size:,} bytes): delete it to download it again"
        )
    stream = tar.extractfile(member)
    return stream.read() if stream is not None else b""


def _dictionary(content: object, file: str) -> dict[str, Any]:
    """What a file holds, under keys of text: what Python 2 wrote and Python 3 wrote anew often has keys of bytes."""
    if not isinstance(content, dict):
        raise DataError(f"{file} holds no dictionary: delete it to download it again")
    return {_text(key): value for key, value in content.items()}


def _text(value: object) -> str:
    return value.decode("latin1") if isinstance(value, bytes) else str(value)


def _entry(content: Mapping[str, Any], key: str, file: str) -> Any:
    """Raises DataError if there is nothing under the key, and says what there is."""
    if key not in content:
        others = ", ".join(f"'{other[:40]}'" for other in list(content)[:8]) or "nothing"
        raise DataError(f"{file} has no '{key}' in it (it has {others}): put the published file there")
    return content[key]


def _class_names(contents: Mapping[str, dict[str, Any]], release: CifarRelease) -> tuple[str, ...]:
    file = next(iter(release.meta))
    names = _entry(contents[file], release.names_key, file)
    if not isinstance(names, list) or not names or not all(isinstance(name, str | bytes) for name in names):
        raise DataError(f"{file} holds no list '{release.names_key}': delete it to download it again")
    return tuple(_text(name) for name in names)


def _split(contents: Mapping[str, dict[str, Any]], files: Iterable[str], labels_key: str, classes: int) -> Split:
    batches = [_batch(contents[file], file, labels_key, classes) for file in files]
    return Split(
        torch.cat([images for images, _ in batches]).view(-1, 3, 32, 32), torch.cat([labels for _, labels in batches])
    )


def _batch(content: Mapping[str, Any], file: str, labels_key: str, classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """One file's images, uint8 (N, 3072), and labels, int64 (N,). Raises DataError if it holds anything else."""
    pixels, labels = _entry(content, "data", file), _entry(content, labels_key, file)
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.shape[1:] != (_PIXELS,):
        raise DataError(f"{file} holds no images of {_PIXELS} bytes: delete it to download it again")
    if not isinstance(labels, list) or len(labels) != len(pixels):
        raise DataError(f"{file} does not hold one of '{labels_key}' per image: delete it to download it again")
    if not all(isinstance(label, int) and 0 <= label < classes for label in labels):
        raise DataError(f"{file} holds labels outside 0..{classes - 1}: delete it to download it again")
    return torch.from_numpy(np.array(pixels)), torch.tensor(labels, dtype=torch.int64)


DATASETS.register("cifar10")(DatasetSpec(load=load_cifar10, is_available=has_cifar10, shape=(10, 3)))
DATASETS.register("cifar100")(DatasetSpec(load=load_cifar100, is_available=has_cifar100, shape=(100, 3)))
