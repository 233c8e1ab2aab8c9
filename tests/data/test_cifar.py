import gzip
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
from netslim.data import cifar as cifar_module
from netslim.data import load_dataset
from netslim.data.cifar import CIFAR10, CIFAR100, CifarRelease

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


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_what_python_3_wrote_anew_is_read(tmp_path: Path, protocol: int) -> None:
    """Read with encoding="bytes" and written again, keys and names are bytes."""

    def encoded(value: Any) -> Any:
        return value.encode() if isinstance(value, str) else value

    files = {}
    for file, content in contents(CIFAR10, 10).items():
        held = pickle.loads(content)  # noqa: S301 - written above
        held = {
            key.encode(): [encoded(one) for one in value] if isinstance(value, list) else value
            for key, value in held.items()
        }
        names = [b"%d.png" % number for number in range(99)]
        files[file] = pickle.dumps(held | {b"filenames": names}, protocol)
    unpacked(tmp_path, CIFAR10, files)
    dataset = load_dataset("cifar10", tmp_path, unverified_data=True)
    assert dataset.class_names == tuple(f"class {index}" for index in range(10))
    assert dataset.test.labels.tolist() == [0, 1, 2]


def test_an_archive_member_of_any_size_is_refused_unread(tmp_path: Path) -> None:
    files = contents(CIFAR10, 10)
    archive = tmp_path / CIFAR10.archive
    with tarfile.open(archive, "w:gz", format=tarfile.GNU_FORMAT) as tar:
        for file in files:
            member = tarfile.TarInfo(f"{CIFAR10.folder}/{file}")
            if file == "test_batch":  # sparse: 10 GB of zeros, none of them stored
                member.type, member.size = tarfile.GNUTYPE_SPARSE, 0
                header = bytearray(member.tobuf(tarfile.GNU_FORMAT))
                header[483:495] = b"%011o\0" % 10_000_000_000
                header[148:156] = b"        "
                header[148:156] = b"%06o\0 " % sum(header)
                tar.fileobj.write(header)  # type: ignore[union-attr]
                continue
            member.size = len(files[file])
            tar.addfile(member, io.BytesIO(files[file]))
    with pytest.raises(DataError, match=r"is damaged \(\S+/test_batch claims 10,000,000,000 bytes\): delete it"):
        load_dataset("cifar10", tmp_path, unverified_data=True)


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
def test_an_archive_that_unpacks_without_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: bytes
) -> None:
    """A member that nobody asked for, or a name, of more bytes than the whole archive may have."""
    monkeypatch.setattr(cifar_module, "_MOST", 1_000_000)
    member = tarfile.TarInfo("x")
    member.type, member.size = kind, 8_000_000
    (tmp_path / CIFAR10.archive).write_bytes(gzip.compress(member.tobuf() + bytes(8_000_000) + bytes(1024)))
    with pytest.raises(DataError, match=r"cifar-10-python\.tar\.gz holds more than 2 MB, and the published file doe"):
        load_dataset("cifar10", tmp_path, unverified_data=True)


@pytest.mark.parametrize("name", [CIFAR10.archive, f"{CIFAR10.folder}/data_batch_2"])
def test_a_pipe_in_place_of_a_file_is_never_opened(tmp_path: Path, name: str) -> None:
    if "/" in name:
        (unpacked(tmp_path, CIFAR10, contents(CIFAR10, 10)) / "data_batch_2").unlink()
    os.mkfifo(tmp_path / name)
    if "/" in name:  # an incomplete folder: the archive is asked, and there the pipe is
        os.mkfifo(tmp_path / CIFAR10.archive)
    with pytest.raises(DataError, match=r"^cannot read .*cifar-10-python\.tar\.gz: it is no regular file$"):
        load_dataset("cifar10", tmp_path, unverified_data=True)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("test_batch", [1, 2], "^test_batch holds no dictionary: delete it to download it again$"),
        ("test_batch", {}, r"^test_batch has no 'data' in it \(it has nothing\): put the published file there$"),
        ("test_batch", {"data": 1, "labels": []}, "test_batch holds no images of 3072 bytes"),
        ("test_batch", {"data": np.zeros((1, 7), np.uint8), "labels": [0]}, "test_batch holds no images of 3072"),
        (
            "test_batch",
            {b"data": np.zeros((1, 3072), np.uint8), b"fine_labels": [0]},
            r"^test_batch has no 'labels' in it \(it has 'data', 'fine_labels'\): put the published file there$",
        ),
        ("test_batch", {"data": np.zeros((2, 3072), np.uint8), "labels": [0]}, "not hold one of 'labels' per image"),
        ("test_batch", {"data": np.zeros((1, 3072), np.uint8), "labels": [10]}, "holds labels outside 0..9"),
        ("test_batch", {"data": np.zeros((1, 3072), np.uint8), "labels": [1 << 9999]}, "holds labels outside 0..9"),
        ("batches.meta", {}, "batches.meta has no 'label_names' in it"),
        ("batches.meta", {"label_names": [1]}, "batches.meta holds no list 'label_names'"),
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
