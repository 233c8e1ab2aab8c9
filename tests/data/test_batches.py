import dataclasses

import pytest
import torch
from torch.utils.data import TensorDataset

from netslim.core.errors import DataError
from netslim.core.plugins.references import UserObject
from netslim.data import UserDataset, choosing_parts, evaluation_batches, load_dataset, open_user_data, train_batches
from netslim.data.own.loading import LoadedBatches
from netslim.data.resident import TrainBatches


def mine(val: int | None) -> UserDataset:
    def part(count: int) -> TensorDataset:
        return TensorDataset(torch.zeros(count, 1, 4, 4), torch.zeros(count).long())

    own = UserObject(
        field="dataset", reference="d.py:f", value=lambda: (part(20), None if val is None else part(val), part(3))
    )
    return open_user_data(own, {})


def test_batches_are_those_of_the_kind_of_data_set(tmp_path: object) -> None:
    given = {"batch_size": 4, "seed": 1, "device": "cpu"}
    digits, own = load_dataset("digits", tmp_path), mine(2)  # type: ignore[arg-type]
    assert isinstance(train_batches(digits.train, digits, **given), TrainBatches)
    assert isinstance(train_batches(own.train, own, **given), LoadedBatches)
    for dataset in (digits, own):
        images, _ = next(evaluation_batches(dataset.test, dataset, batch_size=2, device="cpu"))
        assert images.shape == (2, dataset.in_channels, *dataset.image_size)


def test_the_users_own_val_chooses_or_some_of_train() -> None:
    train, val = choosing_parts(mine(2), 0.1, 1)
    assert (len(train), len(val)) == (20, 2)
    for share, held in ((0.1, 2), (0.25, 5)):
        train, val = choosing_parts(mine(None), share, 1)
        assert (len(train), len(val)) == (20 - held, held)
        assert not set(train.indices.tolist()) & set(val.indices.tolist())
    single = dataclasses.replace(mine(None), train=mine(None).train.part(slice(1)))
    with pytest.raises(DataError, match=r"d\.py:f: of one sample in train none can be held out: return val, too"):
        choosing_parts(single, 0.1, 1)
    with pytest.raises(AttributeError):
        choosing_parts(mine(None), 0.1, 2)[0].labels  # noqa: B018
