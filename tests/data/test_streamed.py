import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from image_files import in_files, noise, png_without_end

from netslim.core.errors import DataError
from netslim.data import TrainBatches, evaluation_batches, load_dataset, split_validation
from netslim.data.reading.decode import THREADS
from netslim.data.streamed import StreamedSplit


@pytest.mark.parametrize("image_size", [None, 6])
def test_what_does_not_fit_stays_in_its_files_and_trains_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, image_size: int | None
) -> None:
    """The same splits, batches and augmentation, to the bit."""
    resident = load_dataset("folder", noise(tmp_path, 90, 20), image_size=image_size)
    streamed = in_files(tmp_path, monkeypatch, image_size=image_size)
    assert isinstance(streamed.train, StreamedSplit)
    assert not isinstance(resident.train, StreamedSplit)
    assert (streamed.mean, streamed.std) == (resident.mean, resident.std)
    assert (streamed.in_channels, streamed.image_size) == (resident.in_channels, resident.image_size)
    batches = []
    for dataset in (resident, streamed):
        train, val = split_validation(dataset.train, 0.2, 1)
        made = TrainBatches(train, dataset, batch_size=16, seed=3, device="cpu")
        batches.append([*made.epoch(0), *made.epoch(1, start=2)])
        for split in (val, dataset.test):
            batches[-1] += evaluation_batches(split, dataset, batch_size=7, device="cpu")
    assert len(batches[0]) == len(batches[1]) == 5 + 3 + 3 + 3
    for (images, labels), (again, same) in zip(*batches, strict=True):
        assert torch.equal(images, again)
        assert torch.equal(labels, same)


def test_no_more_batches_are_in_memory_than_there_are_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, asked = in_files(noise(tmp_path, 60, 2), monkeypatch), 0

    def wanted() -> Iterator[torch.Tensor]:
        nonlocal asked
        for index in range(len(dataset.train)):
            asked += 1
            yield torch.tensor([index])

    rows = dataset.train.rows(wanted())
    for done in range(1, 20):
        next(rows)
        assert asked == min(done + THREADS, 60)
    rows.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if "ThreadPoolExecutor" in thread.name]


def test_damage_that_a_header_hides_is_named_when_the_image_is_wanted(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = root / "test" / "bee" / "0.png"
    png_without_end(damaged)
    dataset = in_files(root, monkeypatch)
    with pytest.raises(DataError, match=rf"^cannot read image {damaged} .*: repair it or remove it$"):
        list(evaluation_batches(dataset.test, dataset, batch_size=2, device="cpu"))
