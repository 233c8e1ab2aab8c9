import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from netslim.core.errors import DataError, UsageError
from netslim.data import dataset_names, load_dataset
from netslim.data import host_memory as memory_module
from netslim.data.resize import resize
from netslim.data.statistics import channel_statistics


def test_the_names() -> None:
    assert dataset_names() == ["cifar10", "cifar100", "digits", "fashion-mnist", "folder"]


def test_importing_the_room_loads_no_heavy_library() -> None:
    code = (
        "import sys, netslim.data; netslim.data.dataset_names();"
        "print([name for name in ('torchvision', 'sklearn', 'PIL', 'rich') if name in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "[]"


def test_an_unknown_name_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"unknown data set 'cifar'; did you mean .*\(known: cifar10, cifar100, digi"):
        load_dataset("cifar", tmp_path)


def test_a_size_below_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"images of 0 pixels per side are not possible: type `image_size=1` or more"):
        load_dataset("digits", tmp_path, image_size=0)


def test_digits(tmp_path: Path) -> None:
    dataset = load_dataset("digits", tmp_path / "never made")
    assert (dataset.num_classes, dataset.in_channels, dataset.image_size) == (10, 1, (16, 16))
    assert (len(dataset.train), len(dataset.test)) == (1437, 360)
    assert dataset.train.images.dtype == torch.uint8
    assert dataset.train.labels.dtype == torch.int64
    assert dataset.train.images.max() == 255
    assert (dataset.augmentation.pad, dataset.augmentation.flip) == (2, False)
    pixels = dataset.train.images.double() / 255
    assert dataset.mean == pytest.approx((pixels.mean().item(),))
    assert dataset.std == pytest.approx((pixels.std(correction=0).item(),))
    assert torch.bincount(dataset.test.labels).min() >= 34
    assert not (tmp_path / "never made").exists()
    again = load_dataset("digits", tmp_path)
    assert torch.equal(dataset.test.images, again.test.images)


def test_another_size_scales_the_images_and_the_padding(tmp_path: Path) -> None:
    dataset = load_dataset("digits", tmp_path, image_size=32)
    assert dataset.image_size == (32, 32)
    assert dataset.test.images.shape == (360, 1, 32, 32)
    assert dataset.augmentation.pad == 4


def test_resize_averages_what_it_shrinks_and_keeps_flat_images() -> None:
    flat = torch.full((1030, 3, 8, 8), 77, dtype=torch.uint8)
    assert torch.equal(resize(flat, 5), torch.full((1030, 3, 5, 5), 77, dtype=torch.uint8))
    stripes = torch.tensor([0, 200], dtype=torch.uint8).repeat(16).expand(1, 1, 32, 32).contiguous()
    middle = resize(stripes, 8)[..., 2:6].int()
    assert (middle - 100).abs().max() <= 2  # without antialiasing it would be 0 or 200


def test_statistics_are_exact() -> None:
    images = torch.tensor([[0, 255], [255, 255]], dtype=torch.uint8).view(2, 2, 1, 1)
    mean, std = channel_statistics(images)
    assert mean == (0.5, 1.0)
    assert std == (0.5, 1.0)  # the second channel never changes: 1, to be divided by


def test_too_much_for_the_memory_is_refused_before_it_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_module, "available_memory", lambda: 2_000_000_000)
    with pytest.raises(
        DataError,
        match=r"^1437 images of 2000x2000 pixels need 5.7 GB of memory and 2.0 GB are free: type a smaller `image_s",
    ):
        load_dataset("digits", tmp_path, image_size=2000)


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="needs Linux's memory figures")
def test_the_free_memory_is_known_on_linux() -> None:
    free = memory_module.available_memory()
    assert free is not None
    assert 0 < free < 2**50
