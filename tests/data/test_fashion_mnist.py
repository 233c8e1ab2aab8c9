import gzip
import os
import struct
from pathlib import Path

import pytest
import torch

from netslim.core.errors import DataError
from netslim.data import load_dataset
from netslim.data.fashion_mnist import read_idx

NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def idx(values: bytes, *sizes: int) -> bytes:
    return struct.pack(f">4B{len(sizes)}I", 0, 0, 8, len(sizes), *sizes) + values


def tiny() -> dict[str, bytes]:
    images = bytes(index % 251 for index in range(3 * 784))
    return dict(
        zip(
            NAMES, (idx(images, 3, 28, 28), idx(b"\0\1\2", 3), idx(images, 3, 28, 28), idx(b"\3\4\x09", 3)), strict=True
        )
    )


def place(root: Path, files: dict[str, bytes], *, packed: bool = False) -> Path:
    folder = root / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / (name + ".gz" * packed)).write_bytes(gzip.compress(content) if packed else content)
    return folder


@pytest.mark.parametrize("packed", [False, True])
def test_both_layouts(tmp_path: Path, packed: bool) -> None:
    place(tmp_path, tiny(), packed=packed)
    dataset = load_dataset("fashion-mnist", tmp_path, unverified_data=True)
    assert dataset.train.images.shape == (3, 1, 28, 28)
    assert dataset.train.images.flatten().tolist() == [index % 251 for index in range(3 * 784)]
    assert dataset.test.labels.tolist() == [3, 4, 9]
    assert dataset.class_names[9] == "Ankle boot"
    assert (dataset.augmentation.pad, dataset.augmentation.flip) == (2, True)


def test_another_hash_is_refused(tmp_path: Path) -> None:
    folder = place(tmp_path, tiny(), packed=True)
    with pytest.raises(DataError) as caught:
        load_dataset("fashion-mnist", tmp_path)
    message = str(caught.value)
    assert message.startswith(
        f"{folder / 'train-images-idx3-ubyte.gz'} is not the published file "
        "(MD5 expected f4a8712d7a061bf5bd6d2ca38dc4d50a, found "
    )
    assert "pass `unverified_data=True` (or set NETSLIM_UNVERIFIED_DATA=1)" in message


def test_a_cut_gz_is_damaged(tmp_path: Path) -> None:
    folder = place(tmp_path, tiny(), packed=True)
    path = folder / "t10k-images-idx3-ubyte.gz"
    whole = path.read_bytes()
    for end in (0, 5, 20, len(whole) - 9, len(whole) - 1):
        path.write_bytes(whole[:end])
        with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte\.gz (is damaged|is not an idx file)"):
            load_dataset("fashion-mnist", tmp_path, unverified_data=True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "x is not an idx file of bytes in 2 dimensions: delete it to download it again"),
        (b"<html>not found</html>", "x is not an idx file of bytes in 2 dimensions"),
        (idx(b"12", 2), "x is not an idx file of bytes in 2 dimensions"),
        (idx(b"12", 2, 1)[:9], "x is not an idx file of bytes in 2 dimensions"),
        (b"\0\0\x0d\2" + idx(b"12", 2, 1)[4:], "x is not an idx file of bytes in 2 dimensions"),
        (idx(b"12345", 2, 3), "x holds 5 values where its header says 6: it is cut off or damaged"),
        (idx(b"", 0, 3), r"x holds nothing \(its sizes are \[0, 3\]\)"),
        (idx(b"", 2**32 - 1, 2**32 - 1), "x holds 0 values where its header says 18446744065119617025"),
    ],
)
def test_faults_of_idx_files(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_idx(Path("x"), content, 2)


def test_idx_sizes_are_big_endian() -> None:
    assert torch.equal(read_idx(Path("x"), idx(b"\1\2\3", 1, 3), 2), torch.tensor([[1, 2, 3]], dtype=torch.uint8))


def test_parts_that_do_not_fit_together(tmp_path: Path) -> None:
    place(tmp_path, tiny() | {"t10k-labels-idx1-ubyte": idx(b"\1", 1)})
    with pytest.raises(DataError, match="holds 3 t10k images and 1 labels"):
        load_dataset("fashion-mnist", tmp_path, unverified_data=True)


def test_labels_beyond_the_classes(tmp_path: Path) -> None:
    place(tmp_path, tiny() | {"t10k-labels-idx1-ubyte": idx(b"\1\2\x0a", 3)})
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte must hold labels 0\.\.9 and no others"):
        load_dataset("fashion-mnist", tmp_path, unverified_data=True)


def test_a_file_that_unpacks_without_end_is_refused(tmp_path: Path) -> None:
    folder = place(tmp_path, tiny(), packed=True)
    path = folder / "train-labels-idx1-ubyte.gz"
    path.write_bytes(gzip.compress(bytes(70_000_000), 1))
    with pytest.raises(DataError, match=rf"^{path} holds more than 64 MB, and the published file does not: delete it"):
        load_dataset("fashion-mnist", tmp_path, unverified_data=True)


def test_a_pipe_in_place_of_a_file_is_never_opened(tmp_path: Path) -> None:
    folder = place(tmp_path, tiny())
    path = folder / "t10k-labels-idx1-ubyte"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(DataError, match=rf"^cannot read {path}: it is no regular file$"):
        load_dataset("fashion-mnist", tmp_path, unverified_data=True)
