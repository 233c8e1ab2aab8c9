from pathlib import Path

import pytest
import torch

from netslim.data import load_dataset


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


def test_they_are_those_that_scikit_learn_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from_file = load_dataset("digits", tmp_path)
    monkeypatch.setattr(Path, "is_file", lambda _: False)
    given = load_dataset("digits", tmp_path)
    for part in ("train", "test"):
        ours, theirs = getattr(from_file, part), getattr(given, part)
        assert torch.equal(ours.images, theirs.images)
        assert torch.equal(ours.labels, theirs.labels)
