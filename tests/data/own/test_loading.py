import random
from typing import Any

import numpy as np
import pytest
import torch

import netslim
from netslim.core.errors import DataError, UserCodeError
from netslim.core.plugins.references import UserObject
from netslim.data import UserDataset, evaluation_batches, open_user_data, train_batches


class Augmented:
    """Images that are different whenever they are asked for."""

    def __init__(self, images: int = 10, broken: int | None = None) -> None:
        self.images, self.broken = images, broken

    def __len__(self) -> int:
        return self.images

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        if index == self.broken:
            raise ValueError("no such\npicture")
        drawn = torch.rand(1, 2, 2) + random.random() + float(np.random.rand())  # noqa: S311
        return drawn, index


def dataset(workers: int = 0, **given: Any) -> UserDataset:
    parts = Augmented(**given), None, Augmented(**given)
    own = UserObject(field="dataset", reference="data.py:load", value=lambda: netslim.UserData(*parts))
    return open_user_data(own, {}, workers)


def epoch(data: UserDataset, number: int, start: int = 0) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return list(train_batches(data.train, data, batch_size=4, seed=3, device="cpu").epoch(number, start))


def test_an_epoch_has_every_sample_once_in_another_order() -> None:
    first, second = ([int(label) for _, labels in epoch(dataset(), number) for label in labels] for number in (0, 1))
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second


def test_what_samples_draw_depends_on_seed_epoch_and_index_alone() -> None:
    torch.manual_seed(5)
    whole = epoch(dataset(), 1)
    torch.manual_seed(6)
    for other in (epoch(dataset(workers=2), 1), whole[:1] + epoch(dataset(), 1, start=1)):
        for (images, labels), (there, these) in zip(whole, other, strict=True):
            assert torch.equal(images, there)
            assert torch.equal(labels, these)
    assert not torch.equal(whole[0][0].sort(0).values, epoch(dataset(), 2)[0][0].sort(0).values)


def test_the_global_generators_are_left_alone() -> None:
    data = dataset()
    before = torch.get_rng_state(), random.getstate()
    epoch(data, 0)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == random.getstate()


def test_a_process_loads_its_share() -> None:
    data = dataset()
    half = train_batches(
        data.train, data, batch_size=4, seed=3, device="cpu", share=lambda rows: rows[: len(rows) // 2]
    )
    assert [len(images) for images, _ in half.epoch(0)] == [2, 2, 1]
    assert len(half) == 3


def test_evaluation_is_in_order_and_the_same_every_time() -> None:
    data = dataset()
    found = list(evaluation_batches(data.test, data, batch_size=4, device="cpu"))
    assert [label for _, labels in found for label in labels.tolist()] == list(range(10))
    again = list(evaluation_batches(data.test, data, batch_size=4, device="cpu"))
    assert torch.equal(found[0][0], again[0][0])


@pytest.mark.parametrize("workers", [0, 2])
def test_a_sample_that_fails_is_one_line_with_its_number(workers: int) -> None:
    with pytest.raises(UserCodeError) as caught:
        epoch(dataset(workers, broken=7), 0)
    message = str(caught.value)
    assert message.startswith("data.py:load, sample 7: ")
    assert message.endswith("ValueError: no such picture")
    assert "\n" not in message


def made_of(samples: Any, workers: int = 0, collate: Any = None) -> UserDataset:
    value = netslim.UserData(samples, None, samples, collate=collate)
    return open_user_data(UserObject(field="dataset", reference="data.py:load", value=lambda: value), {}, workers)


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_samples_that_make_no_batch(workers: int) -> None:
    sizes = [(torch.zeros(1, side, side), 0) for side in (4, 5)]
    said = r"^data.py:load, a batch: RuntimeError: stack expects each tensor to be equal"
    with pytest.raises(UserCodeError, match=said):
        epoch(made_of(sizes, workers), 0)
    with pytest.raises(DataError, match=r"^data.py:load, sample 1 is nothing, not \(image, label\)$"):
        epoch(made_of([sizes[0], None], workers), 0)


@pytest.mark.parametrize(("collate", "found"), [(lambda rows: rows, "a list"), (lambda rows: None, "nothing")])
def test_a_collate_that_makes_no_batch(collate: Any, found: str) -> None:
    samples = [(torch.zeros(1, 4, 4), 0)] * 3
    with pytest.raises(UserCodeError, match=rf"^data.py:load: collate gives {found}, not \(images, labels\)"):
        epoch(made_of(samples, collate=collate), 0)
