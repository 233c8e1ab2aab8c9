"""What operations give that decide as they are told."""

import torch

from netslim.core.networks.decisions import Readings, decided, is_steering, masks_of, operation

ATEN = torch.ops.aten


def test_names_have_no_mark_of_place() -> None:
    assert operation(ATEN.add_.Tensor) == "add"


def test_masks_steer_and_whole_numbers_do_not() -> None:
    x, mask = torch.arange(4.0), torch.tensor([True, False, True, False])
    assert is_steering("index", (x, [mask]))
    assert not is_steering("index", (x, [torch.tensor([0, 2])]))
    assert masks_of("index", (x, [None, mask])) == [mask]
    assert is_steering("repeat_interleave", (torch.tensor([1, 2]),))


def test_masks_choose_the_rows_that_they_are_told() -> None:
    x, mask = torch.arange(4.0), torch.zeros(4, dtype=torch.bool)
    rows = [torch.tensor([1, 3])]
    assert decided(ATEN.index.Tensor, (x, [mask]), {}, rows)[0].tolist() == [1, 3]
    assert decided(ATEN.masked_select.default, (x, mask), {}, rows)[0].tolist() == [1, 3]


def test_orders_keep_places_and_take_values_of_their_own() -> None:
    x = torch.tensor([[3.0, 1.0, 2.0], [1.0, 2.0, 3.0]])
    values, places = decided(ATEN.topk.default, (x, 2), {}, torch.tensor([[1, 0], [2, 2]]))[0]
    assert values.tolist() == [[1, 3], [3, 3]]
    assert places.tolist() == [[1, 0], [2, 2]]
    values, _ = decided(ATEN.max.dim, (x, 1), {}, torch.tensor([1, 0]))[0]
    assert values.tolist() == [1, 1]
    assert decided(ATEN.sort.default, (torch.tensor(2.0),), {}, torch.tensor(0))[0][0] == 2


def test_shapes_say_that_they_are_where_the_network_ran() -> None:
    shape = torch.empty(2, 3, device="meta")
    with Readings(torch.device("cpu")):
        assert shape.device.type == "cpu"
        assert torch.arange(4).view(2, 2).tolist() == [[0, 1], [2, 3]]
    assert shape.device.type == "meta"
