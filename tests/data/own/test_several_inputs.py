from typing import Any

import pytest
import torch
from torch import Tensor

import netslim
from netslim.core.errors import DataError, UserCodeError
from netslim.core.networks.trees import InputBatch
from netslim.core.plugins.references import UserObject
from netslim.data import UserDataset, evaluation_batches, open_user_data
from netslim.data.own.several_inputs import random_batch


def dataset(samples: list[Any], workers: int = 0, **given: Any) -> UserDataset:
    data = netslim.UserData(samples, None, samples, **given)
    return open_user_data(UserObject(field="dataset", reference="data.py:load", value=lambda: data), {}, workers)


def batches(data: UserDataset) -> list[InputBatch]:
    return [inputs for inputs, _ in evaluation_batches(data.test, data, batch_size=2, device="cpu")]


def sample(number: int) -> tuple[Tensor, int]:
    return torch.full((1, 4, 4), float(number)), number


@pytest.mark.parametrize("workers", [0, 1])
def test_a_tuple_is_in_the_order_of_the_arguments(workers: int) -> None:
    data = dataset([(sample(number), number % 2) for number in range(3)], workers)
    first, last = batches(data)
    assert [tuple(tensor.shape) for tensor in first.args] == [(2, 1, 4, 4), (2,)]
    assert (first.args[1].tolist(), last.args[1].tolist(), dict(first.kwargs)) == ([0, 1], [2], {})
    assert (data.in_channels, data.image_size, data.has_class_numbers) == (None, (), True)


def test_a_dictionary_is_by_name() -> None:
    data = dataset([({"image": torch.zeros(1, 4, 4), "age": float(number)}, 0) for number in range(3)])
    first, _ = batches(data)
    assert (first.args, first.kwargs["image"].shape, first.kwargs["age"].tolist()) == ((), (2, 1, 4, 4), [0, 1])


def test_a_collate_of_ones_own_makes_several_inputs_or_one() -> None:
    frames = [([torch.zeros(4, 4), torch.ones(4, 4)], 0)] * 2

    def stacked(samples: list[Any]) -> Any:
        return torch.stack([torch.stack(images) for images, _ in samples]), torch.zeros(len(samples))

    assert dataset(frames, collate=stacked).image_shape == (2, 4, 4)
    assert dataset(frames).image_shape == ()


def test_random_inputs_are_like_those_of_a_sample() -> None:
    data = dataset([((torch.zeros(1, 4, 4), torch.tensor(7)), 0)])
    assert data.inputs is not None
    first, again = random_batch(data.inputs, 5), random_batch(data.inputs, 5)
    assert [(tuple(tensor.shape), tensor.dtype) for tensor in first.tensors] == [
        ((5, 1, 4, 4), torch.float32),
        ((5,), torch.int64),
    ]
    assert int(first.tensors[1].max()) <= 7
    assert torch.equal(first.tensors[0], again.tensors[0])


def test_batches_that_are_not_like_the_first_sample() -> None:
    samples = [((torch.zeros(3), torch.zeros(2)), 0)] * 2
    uneven = dataset(samples)
    object.__setattr__(uneven, "collate", lambda _: ((torch.zeros(2, 3), torch.zeros(1, 2)), torch.zeros(2)))
    with pytest.raises(DataError, match=r"^data.py:load: a batch has inputs .* which are not of equally many samples$"):
        batches(uneven)
    one = dataset(samples)
    object.__setattr__(one, "collate", lambda _: (torch.zeros(2, 3), torch.zeros(2)))
    with pytest.raises(UserCodeError) as caught:
        batches(one)
    assert str(caught.value) == (
        "data.py:load: collate gives a tuple, not (inputs, labels) of inputs [(1, 3) float32, (1, 2) float32]"
    )
