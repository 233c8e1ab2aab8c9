from pathlib import Path

import pytest

from fresh_python import FreshPython
from netslim.core.errors import UsageError
from netslim.data import at_hand, dataset_names, load_dataset
from netslim.data.cifar import CIFAR10, CIFAR100, CifarRelease

MNIST = [f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]


def test_the_names() -> None:
    assert dataset_names() == ["cifar10", "cifar100", "digits", "fashion-mnist", "folder"]


def test_importing_the_room_loads_no_heavy_library(fresh_python: FreshPython, tmp_path: Path) -> None:
    code = (
        "import sys, netslim.data; netslim.data.dataset_names();"
        "print([name for name in ('torchvision', 'sklearn', 'PIL', 'rich') if name in sys.modules])"
    )
    done = fresh_python(code, folder=tmp_path)
    assert done.stdout.strip() == "[]", done.stderr


def test_an_unknown_name_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"unknown data set 'cifar'; did you mean .*\(known: cifar10, cifar100, digi"):
        load_dataset("cifar", tmp_path)


def test_a_size_below_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"images of 0 pixels per side are not possible: type `image_size=1` or more"):
        load_dataset("digits", tmp_path, image_size=0)


def test_another_size_scales_the_images_and_the_padding(tmp_path: Path) -> None:
    dataset = load_dataset("digits", tmp_path, image_size=32)
    assert dataset.image_size == (32, 32)
    assert dataset.test.images.shape == (360, 1, 32, 32)
    assert dataset.augmentation.pad == 4


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_of_an_empty_folder_only_the_digits_are_at_hand(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        assert [name for name in dataset_names() if at_hand(name, folder)] == ["digits"]
    assert list(tmp_path.iterdir()) == []


def test_whether_an_unknown_name_is_at_hand(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^unknown data set 'digit'; did you mean digits\?"):
        at_hand("digit", tmp_path)


@pytest.mark.parametrize(("name", "release"), [("cifar10", CIFAR10), ("cifar100", CIFAR100)])
def test_cifar_in_its_archive_or_unpacked_and_whole(name: str, release: CifarRelease, tmp_path: Path) -> None:
    archive, folder = tmp_path / release.archive, tmp_path / release.folder
    touch(archive)
    assert at_hand(name, tmp_path)
    archive.unlink()
    assert not at_hand(name, tmp_path)
    touch(*[folder / file for file in release.files])
    assert at_hand(name, tmp_path)
    (folder / next(iter(release.meta))).unlink()
    assert not at_hand(name, tmp_path)


@pytest.mark.parametrize("suffixes", [("", ""), (".gz", ".gz"), ("", ".gz")])
def test_fashion_mnist_packed_or_not(suffixes: tuple[str, str], tmp_path: Path) -> None:
    raw = tmp_path / "FashionMNIST" / "raw"
    files = [raw / f"{name}{suffixes[index % 2]}" for index, name in enumerate(MNIST)]
    touch(*files[:3])
    assert not at_hand("fashion-mnist", tmp_path)
    touch(files[3])
    assert at_hand("fashion-mnist", tmp_path)


@pytest.mark.parametrize("test", ["test", "val"])
def test_a_folder_needs_both_parts(test: str, tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    touch(tmp_path / test)
    assert not at_hand("folder", tmp_path)
    (tmp_path / test).unlink()
    (tmp_path / test).mkdir()
    assert at_hand("folder", tmp_path)


def test_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for part in ("train", "test"):
        (tmp_path / "images" / part).mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert at_hand("folder", Path("~/images"))
