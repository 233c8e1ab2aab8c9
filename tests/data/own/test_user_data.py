import warnings
from typing import Any

import pytest
import torch
from torch.utils.data import TensorDataset

import netslim
from netslim.core.errors import ArgumentError, DataError, NetslimWarning
from netslim.core.plugins.references import UserObject
from netslim.data import open_user_data


def own(value: Any) -> UserObject:
    return UserObject(field="dataset", reference="data.py:load", value=value)


def images(count: int, label: torch.Tensor | None = None) -> TensorDataset:
    return TensorDataset(torch.zeros(count, 2, 8, 6), torch.zeros(count).long() if label is None else label)


@pytest.mark.parametrize(
    "given",
    [
        netslim.UserData(images(4), images(2), images(3)),
        {"train": images(4), "val": images(2), "test": images(3)},
        (images(4), images(2), images(3)),
    ],
    ids=["UserData", "dict", "tuple"],
)
def test_a_record_a_dictionary_or_a_tuple(given: Any) -> None:
    found = open_user_data(own(lambda: given), {})
    assert found.val is not None
    assert [len(part) for part in (found.train, found.val, found.test)] == [4, 2, 3]
    assert (found.in_channels, found.image_size, found.num_classes, found.has_class_numbers) == (2, (8, 6), None, True)
    assert open_user_data(own(given), {}).image_shape == (2, 8, 6) if callable(given) else True


def test_the_function_gets_what_it_has_parameters_for() -> None:
    seen: dict[str, Any] = {}

    def load(data_dir: Any, seed: int = 0) -> Any:
        seen.update(data_dir=data_dir, seed=seed)
        return images(4), None, images(3)

    assert open_user_data(own(load), {"data_dir": "d", "seed": 7, "image_size": None}).val is None
    assert seen == {"data_dir": "d", "seed": 7}
    with pytest.raises(ArgumentError, match=r"`image_size=32`: data.py:load has no parameter image_size"):
        open_user_data(own(load), {"data_dir": None, "image_size": 32})


def test_classes_are_known_from_names_weights_or_the_data_set_itself() -> None:
    part = images(4)
    part.classes = ["a", "b"]
    assert open_user_data(own(lambda: (part, None, part)), {}).class_names == ("a", "b")
    weighted = netslim.UserData(images(4), None, images(4), class_weights=[1, 2, 3])
    found = open_user_data(own(lambda: weighted), {})
    assert (found.num_classes, found.class_weights) == (3, pytest.approx(torch.tensor([1.0, 2.0, 3.0])))


@pytest.mark.parametrize(
    "label", [torch.zeros(4), torch.zeros(4, 2).long(), torch.zeros(4).bool()], ids=["float", "row", "bool"]
)
def test_labels_that_are_no_class_numbers(label: torch.Tensor) -> None:
    part = images(4, label)
    assert not open_user_data(own(lambda: (part, None, part)), {}).has_class_numbers


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, "`dataset='data.py:load'`: it gives nothing, not netslim.UserData, (train, val, test), or a dict of"),
        ({"train": images(3)}, "`dataset='data.py:load'`: it gives a dict, not netslim.UserData"),
        ((None, None, images(3)), "`dataset='data.py:load'`: it gives a tuple, not the parts train and test"),
        (([], None, images(3)), "data.py:load: train has no samples"),
        ((3, None, images(3)), "data.py:load: train is an int, which has no length and samples"),
        (([torch.zeros(1, 8, 8)], None, [1]), "data.py:load: train[0] is a Tensor, not (image, label)"),
        (([("x", 1)], None, [1]), "data.py:load: the image of train[0] is a str, not a float tensor (C, H, W)"),
        (
            ([(torch.zeros(8), 1)], None, [1]),
            "data.py:load: the image of train[0] is torch.float32 (8,), not a float tensor (C, H, W), nor (C, L) or ",
        ),
        ((images(3), None, [(1, 2, 3)]), "data.py:load: test[0] is tuple of 3, not (image, label)"),
        (
            (images(3), [(torch.zeros(1, 8, 6), 0)], images(3)),
            "data.py:load: the image of val[0] has 1 channels, that of train[0] 2",
        ),
        (([((torch.zeros(3), "x"), 1)], None, [1]), "data.py:load: train[0] has inputs [(1, 3) float32, ["),
        (([({}, 1)], None, [1]), "data.py:load: train[0] has inputs {}: give tensors and numbers alone"),
        (
            ([((torch.zeros(3), 1.0), 1)], None, [(torch.zeros(1, 8, 8), 1)]),
            "data.py:load: the inputs of test[0] are (1, 8, 8) float32, those of train[0] [(1, 3) float32, (1,) float6",
        ),
        (
            ([({"a": torch.zeros(3)}, 1)], None, [({"b": torch.zeros(3)}, 1)]),
            "data.py:load: the inputs of test[0] are {b: (1, 3) float32}, those of train[0] {a: (1, 3) float32}",
        ),
    ],
)
def test_what_is_no_data_set(given: Any, said: str) -> None:
    with pytest.raises((ArgumentError, DataError)) as caught:
        open_user_data(own(lambda: given), {})
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"class_weights": "abc"}, "class_weights 'abc': give a number per class, not negative, not all 0"),
        ({"class_weights": [-1, 2]}, "class_weights [-1, 2]: give a number per class"),
        ({"class_weights": [float("nan"), 2]}, "class_weights [nan, 2]: give a number per class"),
        ({"class_weights": [0, 0]}, "class_weights [0, 0]: give a number per class"),
        ({"class_names": "abc"}, "class_names 'abc': give a list of names"),
        ({"num_classes": "3"}, "num_classes '3': give a whole number above 0"),
        (
            {"num_classes": 3, "class_names": ["a", "b"]},
            "it says different numbers of classes: num_classes 3, class_names 2",
        ),
        ({"collate": 3}, "collate is an int, not a function (samples) -> (images, labels)"),
    ],
)
def test_what_is_said_of_classes_and_batches_is_checked(said: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        open_user_data(own(lambda: netslim.UserData(images(4), None, images(4), **said)), {})
    assert str(caught.value).startswith(f"data.py:load: {message}")


def test_a_part_that_is_train_itself_is_said() -> None:
    train, other = images(4), images(4)
    for given, said in (
        ((train, other, train), "test is train itself: accuracy on test is that on training images"),
        ((train, train, other), "val is train itself: accuracy on val is that on training images"),
        ((train, train, train), "val and test are train itself: accuracy on val or test is that on training images"),
    ):
        with pytest.warns(NetslimWarning, match=f"^data.py:load: {said}$"):
            open_user_data(own(given), {})
    with warnings.catch_warnings(action="error"):
        open_user_data(own((train, other, other)), {})
        open_user_data(own((train, None, other)), {})
