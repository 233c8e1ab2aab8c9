import hashlib
import io
import os
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from netslim.core.errors import DataError
from netslim.data import load_dataset
from netslim.data.cifar import CIFAR10, CIFAR100, CifarRelease
from netslim.data.restricted_pickle import load_plain

RELEASES = {"cifar10": (CIFAR10, 10), "cifar100": (CIFAR100, 100)}


def contents(release: CifarRelease, classes: int, per_file: int = 3) -> dict[str, bytes]:
    """The files of a tiny release in the official form."""
    generator = np.random.default_rng(0)
    made: dict[str, Any] = {}
    for file in (*release.train, *release.test):
        pixels = generator.integers(0, 256, (per_file, 3072), dtype=np.uint8)
        made[file] = {"data": pixels, release.labels_key: list(range(per_file)), "coarse_labels": [0] * per_file}
    made[next(iter(release.meta))] = {release.names_key: [f"class {index}" for index in range(classes)]}
    return {file: pickle.dumps(content, protocol=4) for file, content in made.items()}


def unpacked(root: Path, release: CifarRelease, files: dict[str, bytes]) -> Path:
    folder = root / release.folder
    folder.mkdir()
    for file, content in files.items():
        (folder / file).write_bytes(content)
    return folder


def packed(root: Path, release: CifarRelease, files: dict[str, bytes]) -> Path:
    archive = root / release.archive
    with tarfile.open(archive, "w:gz") as tar:
        for file, content in files.items():
            member = tarfile.TarInfo(f"{release.folder}/{file}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return archive


@pytest.mark.parametrize("layout", [unpacked, packed])
@pytest.mark.parametrize("name", RELEASES)
def test_both_layouts(tmp_path: Path, name: str, layout: Any) -> None:
    release, classes = RELEASES[name]
    files = contents(release, classes)
    layout(tmp_path, release, files)
    dataset = load_dataset(name, tmp_path, unverified_data=True)
    assert dataset.num_classes == classes
    assert dataset.train.images.shape == (3 * len(release.train), 3, 32, 32)
    assert dataset.train.labels.tolist() == [0, 1, 2] * len(release.train)
    first = pickle.loads(files[next(iter(release.train))])["data"][0]  # noqa: S301 - written above
    assert dataset.train.images[0].flatten().tolist() == first.tolist()
    assert dataset.mean == (0.4914, 0.4822, 0.4465)
    assert dataset.std == (0.2023, 0.1994, 0.2010)
    assert (dataset.augmentation.pad, dataset.augmentation.flip) == (4, True)


def test_the_environment_variable_admits_unverified_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unpacked(tmp_path, CIFAR10, contents(CIFAR10, 10))
    monkeypatch.setenv("NETSLIM_UNVERIFIED_DATA", "0")
    with pytest.raises(DataError, match="is not the published file"):
        load_dataset("cifar10", tmp_path)
    monkeypatch.setenv("NETSLIM_UNVERIFIED_DATA", "1")
    assert len(load_dataset("cifar10", tmp_path).train) == 15


@pytest.mark.parametrize("layout", [unpacked, packed])
def test_another_hash_is_refused_with_what_to_do(tmp_path: Path, layout: Any) -> None:
    files = contents(CIFAR10, 10)
    path = layout(tmp_path, CIFAR10, files)
    if path.is_dir():
        path, expected = path / "data_batch_1", "c99cafc152244af753f735de768cd75f"
    else:
        expected = "c58f30108f718f92721af3b95e74349a"
    found = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    with pytest.raises(DataError) as caught:
        load_dataset("cifar10", tmp_path)
    assert str(caught.value) == (
        f"{path} is not the published file (MD5 expected {expected}, found {found}): delete it to download it again, "
        "or pass `unverified_data=True` (or set NETSLIM_UNVERIFIED_DATA=1) to take it as it is"
    )


class Malicious:
    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.witness}",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_runs_a_command_is_refused_and_nothing_runs(tmp_path: Path, protocol: int) -> None:
    witness = tmp_path / "witness"
    files = contents(CIFAR10, 10)
    files["test_batch"] = pickle.dumps({"data": Malicious(witness)}, protocol=protocol)
    unpacked(tmp_path, CIFAR10, files)
    with pytest.raises(DataError, match=r"^test_batch wants to run (posix|nt)\.system, which a data file has no need"):
        load_dataset("cifar10", tmp_path, unverified_data=True)
    assert not witness.exists()


@pytest.mark.parametrize("name", ["eval", "getattr", "__import__"])
def test_builtins_are_refused(name: str) -> None:
    with pytest.raises(DataError, match=rf"x wants to run (builtins|__builtin__)\.{name}"):
        load_plain(f"cbuiltins\n{name}\n.".encode(), "x")


def test_arrays_of_objects_are_refused() -> None:
    with pytest.raises(DataError, match=r"x is damaged .*instead of bytes"):
        load_plain(pickle.dumps(np.array([{}], dtype=object), protocol=4), "x")


def test_a_cut_or_scrambled_pickle_is_damaged() -> None:
    whole = pickle.dumps({"data": np.zeros((2, 3072), np.uint8)}, protocol=4)
    for end in range(0, len(whole) - 1, 97):
        with pytest.raises(DataError, match=r"^x is damaged"):
            load_plain(whole[:end], "x")


def test_a_pickle_of_python_2_is_read() -> None:
    """As CIFAR's own files are: protocol 2, byte strings as keys, the array's module under its old name."""
    content = (
        b"\x80\x02}U\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x03\x85cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff"
        b"K\x00tb\x89U\x03\x01\xfe\xfftbs."
    )
    found = load_plain(content, "x")
    assert isinstance(found, dict)
    assert found["data"].tolist() == [1, 254, 255]


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("test_batch", [1, 2], "test_batch holds no images of 3072 bytes"),
        ("test_batch", {"data": np.zeros((1, 7), np.uint8), "labels": [0]}, "test_batch holds no images of 3072"),
        ("test_batch", {"data": np.zeros((1, 3072), np.uint8)}, "does not hold one of 'labels' per image"),
        ("test_batch", {"data": np.zeros((2, 3072), np.uint8), "labels": [0]}, "not hold one of 'labels' per image"),
        ("test_batch", {"data": np.zeros((1, 3072), np.uint8), "labels": [10]}, "holds labels outside 0..9"),
        ("batches.meta", {}, "batches.meta holds no list 'label_names'"),
    ],
)
def test_contents_that_are_not_cifar(tmp_path: Path, file: str, content: object, message: str) -> None:
    unpacked(tmp_path, CIFAR10, contents(CIFAR10, 10) | {file: pickle.dumps(content, protocol=4)})
    with pytest.raises(DataError, match=message):
        load_dataset("cifar10", tmp_path, unverified_data=True)


def test_a_cut_archive_is_damaged(tmp_path: Path) -> None:
    archive = packed(tmp_path, CIFAR10, contents(CIFAR10, 10))
    whole = archive.read_bytes()
    for share in range(10):
        archive.write_bytes(whole[: len(whole) * share // 10])
        with pytest.raises(DataError, match=r"cifar-10-python\.tar\.gz (is damaged|lacks).*delete it to download it"):
            load_dataset("cifar10", tmp_path, unverified_data=True)


def test_an_archive_without_a_file(tmp_path: Path) -> None:
    files = contents(CIFAR10, 10)
    del files["data_batch_3"]
    packed(tmp_path, CIFAR10, files)
    with pytest.raises(DataError, match=r"cifar-10-python.tar.gz lacks data_batch_3: delete it"):
        load_dataset("cifar10", tmp_path, unverified_data=True)


def test_without_files_and_network_one_line_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for scheme in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(scheme, "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.raises(DataError) as caught:
        load_dataset("cifar100", tmp_path)
    message = str(caught.value)
    assert message.startswith("could not download cifar-100-python.tar.gz (www.cs.toronto.edu: ")
    assert "fetch https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz by other means" in message
    assert f"put it at {tmp_path / 'cifar-100-python.tar.gz'}" in message
    assert "\n" not in message
    assert list(tmp_path.iterdir()) == []


def test_labels_and_images_are_tensors_of_the_right_kind(tmp_path: Path) -> None:
    unpacked(tmp_path, CIFAR10, contents(CIFAR10, 10))
    test = load_dataset("cifar10", tmp_path, unverified_data=True, image_size=16).test
    assert (test.images.dtype, test.labels.dtype) == (torch.uint8, torch.int64)
    assert test.images.shape == (3, 3, 16, 16)
