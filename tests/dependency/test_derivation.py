"""What stays in each dimension, and which operation a cut network would do otherwise."""

import torch

from netslim.core.networks.example import Inputs
from netslim.dependency.find_groups import find_groups
from pruning import structures
from pruning.structures import SHAPE

KEEPS = [[0, 2], [1, 3, 5]]


def test_the_places_of_some_groups_are_cut_like_them_alone() -> None:
    found = find_groups(structures.Residual(), Inputs.of(torch.zeros(SHAPE)))
    places = found.places(KEEPS, [1])
    norm = {(f"inner.1.{name}", 0) for name in ("weight", "bias", "running_mean", "running_var")}
    assert places.keys() == {("inner.0.weight", 0), ("outer.0.weight", 1), *norm}
    assert all(keep.tolist() == [1, 3, 5] for keep in places.values())
    everything = found.places(KEEPS)
    assert everything["inner.0.weight", 1].tolist() == [0, 2]
    assert everything["inner.0.weight", 0].tolist() == [1, 3, 5]
    assert found.places([range(4), range(6)]) == {}


def test_a_cut_of_whole_groups_has_no_fault_and_half_of_one_has() -> None:
    model = structures.Residual()
    found = find_groups(model, Inputs.of(torch.zeros(SHAPE)))
    places = found.places(KEEPS)
    assert found.fault(model, places) is None
    del places["outer.0.weight", 1]
    fault = found.fault(model, places)
    assert fault is not None
    assert (fault.name, fault.layer) == ("convolution", "outer.0")
