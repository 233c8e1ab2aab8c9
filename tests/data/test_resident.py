import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from netslim.core.errors import UsageError
from netslim.data import Augmentation, ImageDataset, Split, TrainBatches, evaluation_batches
from netslim.data import dataset as dataset_module
from netslim.data.resident import crop_and_flip, draw


def numbered(count: int, *, channels: int = 1, size: int = 6, pad: int = 1, flip: bool = True) -> ImageDataset:
    """A data set of random images whose labels are their indices."""
    images = torch.randint(0, 256, (count, channels, size, size), generator=torch.Generator().manual_seed(0))
    split = Split(images.to(torch.uint8), torch.arange(count))
    return ImageDataset(
        name="numbered",
        train=split,
        test=split,
        class_names=tuple(str(index) for index in range(count)),
        mean=(0.25, 0.5, 0.75)[:channels],
        std=(0.5, 0.25, 0.125)[:channels],
        augmentation=Augmentation(pad=pad, flip=flip),
    )


def batches(dataset: ImageDataset, batch_size: int = 8, seed: int = 0) -> TrainBatches:
    return TrainBatches(dataset.train, dataset, batch_size=batch_size, seed=seed, device="cpu")


def labels(loader: TrainBatches, epoch: int) -> list[int]:
    return [int(label) for _, batch in loader.epoch(epoch) for label in batch]


def one_by_one(images: Tensor, top: Tensor, left: Tensor, flip: Tensor, pad: int) -> Tensor:
    """What `crop_and_flip` does, an image at a time."""
    count, channels, height, width = images.shape
    result = torch.empty_like(images)
    for index in range(count):
        padded = torch.zeros(channels, height + 2 * pad, width + 2 * pad, dtype=torch.uint8)
        padded[:, pad : pad + height, pad : pad + width] = images[index]
        y, x = int(top[index]), int(left[index])
        cut = padded[:, y : y + height, x : x + width]
        result[index] = cut.flip(2) if flip[index] else cut
    return result


@settings(deadline=None, max_examples=60)
@given(
    count=st.integers(1, 5),
    channels=st.integers(1, 3),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    pad=st.integers(0, 12),
    seed=st.integers(0, 2**31),
)
def test_crop_and_flip_is_the_slow_loop(
    count: int, channels: int, height: int, width: int, pad: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, channels, height, width), generator=generator).to(torch.uint8)
    top, left = torch.randint(0, 2 * pad + 1, (2, count), generator=generator)
    flip = torch.randint(0, 2, (count,), generator=generator)
    found = crop_and_flip(images, top, left, flip, pad)
    assert torch.equal(found, one_by_one(images, top, left, flip, pad))


def test_training_images_are_the_crops_that_were_drawn_normalised() -> None:
    dataset = numbered(20, channels=3, pad=2)
    draws = draw(20, dataset.augmentation, seed=4, epoch=9)
    expected = one_by_one(dataset.train.images, draws.top, draws.left, draws.flip, 2).double() / 255
    expected = (expected - torch.tensor(dataset.mean).view(3, 1, 1)) / torch.tensor(dataset.std).view(3, 1, 1)
    for images, indices in batches(dataset, seed=4).epoch(9):
        assert images.dtype == torch.float32
        torch.testing.assert_close(images.double(), expected[indices], rtol=0, atol=2e-6)


@settings(deadline=None, max_examples=25)
@given(count=st.integers(1, 40), batch_size=st.integers(1, 45), epoch=st.integers(0, 300))
def test_an_epoch_is_a_permutation(count: int, batch_size: int, epoch: int) -> None:
    loader = batches(numbered(count), batch_size)
    sizes = [len(batch) for _, batch in loader.epoch(epoch)]
    assert sorted(labels(loader, epoch)) == list(range(count))
    assert len(sizes) == len(loader)
    assert all(size == batch_size for size in sizes[:-1])


def test_epochs_and_seeds_differ() -> None:
    dataset = numbered(50)
    orders = {tuple(labels(batches(dataset, seed=seed), epoch)) for seed in (0, 1) for epoch in (0, 1, 2)}
    assert len(orders) == 6


def test_the_same_epoch_comes_again_and_from_its_middle() -> None:
    dataset = numbered(30, channels=3)
    whole = list(batches(dataset).epoch(3))
    for start in range(len(whole) + 1):
        rest = list(batches(dataset).epoch(3, start))
        assert len(rest) == len(whole) - start
        for (images, indices), (again, indices_again) in zip(whole[start:], rest, strict=True):
            assert torch.equal(images, again)
            assert torch.equal(indices, indices_again)


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_neither_order_nor_images_depend_on_the_batch_size(batch_size: int) -> None:
    dataset = numbered(100, channels=3)
    expected, found = (list(batches(dataset, size).epoch(1)) for size in (100, batch_size))
    assert torch.equal(torch.cat([images for images, _ in found]), expected[0][0])
    assert torch.equal(torch.cat([indices for _, indices in found]), expected[0][1])


@pytest.mark.parametrize("start", [0, 2])
def test_the_shares_of_several_processes_make_up_the_batches_of_one(start: int) -> None:
    dataset = numbered(50, channels=3)
    whole = list(batches(dataset, 16).epoch(2, start))
    shares = [
        TrainBatches(
            dataset.train, dataset, batch_size=16, seed=0, device="cpu", share=lambda rows, rank=rank: rows[rank::3]
        ).epoch(2, start)
        for rank in range(3)
    ]
    for images, indices in whole:
        for rank, share in enumerate(shares):
            part, labels = next(share)
            assert torch.equal(part, images[rank::3])
            assert torch.equal(labels, indices[rank::3])


def test_nothing_else_that_is_random_has_a_part_in_an_epoch() -> None:
    """Neither what was drawn before nor torch's own seed; and drawing leaves torch's own generator as it was."""
    augmentation = Augmentation(pad=4, flip=True)
    torch.manual_seed(1)
    first, state = draw(40, augmentation, seed=3, epoch=5), torch.get_rng_state()
    draw(7, augmentation, seed=3, epoch=4)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    again = draw(40, augmentation, seed=3, epoch=5)
    for name in ("order", "top", "left", "flip"):
        assert torch.equal(getattr(first, name), getattr(again, name))


@pytest.mark.parametrize("seed", [-5, 2**70])
def test_any_integer_is_a_seed(seed: int) -> None:
    assert sorted(labels(batches(numbered(9), seed=seed), 0)) == list(range(9))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_same_batches_on_a_gpu() -> None:
    dataset = numbered(50, channels=3)
    there = TrainBatches(dataset.train, dataset, batch_size=16, seed=0, device="cuda").epoch(1)
    for (images, indices), (found, same) in zip(batches(dataset, 16).epoch(1), there, strict=True):
        assert torch.equal(indices, same.cpu())
        torch.testing.assert_close(found.cpu(), images, rtol=0, atol=1e-6)  # a GPU fuses multiplication and addition


def test_all_places_occur_and_half_of_the_images_are_flipped() -> None:
    draws = draw(9000, Augmentation(pad=1, flip=True), seed=0, epoch=0)
    places = torch.bincount(draws.top * 3 + draws.left, minlength=9)
    assert len(places) == 9
    assert (places - 1000).abs().max() < 150  # five standard deviations
    assert abs(int(draws.flip.sum()) - 4500) < 240
    assert not draw(100, Augmentation(pad=1, flip=False), seed=0, epoch=0).flip.any()


def test_the_first_batches_are_a_fair_sample() -> None:
    """No drift: the position of a sample says nothing about its index."""
    order = draw(10_000, Augmentation(pad=0, flip=False), seed=0, epoch=0).order.double()
    assert abs(float(torch.corrcoef(torch.stack((order, torch.arange(10_000).double())))[0, 1])) < 0.05


def test_evaluation_is_in_order_and_in_closed_form() -> None:
    dataset = numbered(5, channels=3)
    pixels = torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 3, 1, 1).expand(5, 3, 2, 2)
    found = list(evaluation_batches(Split(pixels, torch.arange(5)), dataset, batch_size=2, device="cpu"))
    assert [batch.tolist() for _, batch in found] == [[0, 1], [2, 3], [4]]
    expected = torch.tensor([(0 - 0.25) / 0.5, (0.2 - 0.5) / 0.25, (1 - 0.75) / 0.125]).view(3, 1, 1).expand(3, 2, 2)
    for image in itertools.chain.from_iterable(images for images, _ in found):
        torch.testing.assert_close(image, expected, rtol=0, atol=1e-6)


def test_the_split_is_not_changed() -> None:
    dataset = numbered(10)
    before = dataset.train.images.clone()
    list(batches(dataset).epoch(0))
    list(evaluation_batches(dataset.test, dataset, batch_size=3, device="cpu"))
    assert torch.equal(dataset.train.images, before)


def test_a_batch_size_below_one_is_refused_at_once() -> None:
    dataset = numbered(4)
    with pytest.raises(UsageError, match=r"a batch of 0 images is not possible: type `batch_size=1` or more"):
        batches(dataset, 0)
    with pytest.raises(UsageError, match=r"a batch of -1 images"):
        evaluation_batches(dataset.test, dataset, batch_size=-1, device="cpu")


def test_a_negative_start_is_refused() -> None:
    with pytest.raises(ValueError, match="start must not be negative, got -1"):
        next(batches(numbered(4)).epoch(0, -1))


def test_images_that_would_fill_a_device_stay_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset_module, "fits_on", lambda device, needed: needed < 60)
    small, large = (Split(torch.zeros(n, 3, 2, 2, dtype=torch.uint8), torch.zeros(n)) for n in (2, 3))
    assert small.on("meta").images.device.type == "meta"
    assert large.on("meta").images is large.images
    assert large.on("meta").labels.device.type == "meta"
