"""What stays in each dimension, and which operation a cut network would do otherwise."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netslim.core.networks.example import Inputs
from netslim.core.tie import Tie
from netslim.dependency.derivation import macs_beside
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


def test_fixed_filters_and_matrices_beside_channels_multiply_for_each_of_them() -> None:
    class Graph(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.bn, self.out = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1)
            self.joints = nn.Parameter(torch.randn(10, 6))

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = F.relu(self.bn(self.conv(x)))
            y = F.conv2d(y, torch.ones(y.shape[1], 1, 1, 3), padding=(0, 1), groups=y.shape[1])
            found: Tensor = self.out(y @ self.joints)
            return found

    found = find_groups(Graph(), Inputs.of(torch.zeros(2, 3, 10, 10)))
    assert found.uses.beside == {"bn": 2 * (100 * 3 + 100 * 6)}
    assert macs_beside(found.trace, found.groups) == found.uses.beside


def test_groups_that_scales_alone_do_not_silence() -> None:
    class Beside(nn.Module):
        def __init__(self, kind: str) -> None:
            super().__init__()
            self.body, self.last, self.kind = structures.conv_bn(3, 8), nn.Conv2d(8, 2, 1), kind
            self.beside = nn.Conv2d(8, 8, 3, padding=1, groups=4 if kind == "groups" else 1)
            self.depthwise, self.shift = nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.Parameter(torch.ones(8, 1, 1))

        def forward(self, x: Tensor) -> Tensor:
            y = F.relu(self.body(x))
            added = {"full": self.beside, "groups": self.beside, "depthwise": self.depthwise}.get(self.kind)
            y = y + self.shift if added is None else y + added(y)
            found: Tensor = self.last(y)
            return found

    def names(kind: str) -> frozenset[str]:
        model = Beside(kind)
        return find_groups(model, Inputs.of(torch.zeros(SHAPE))).unscaled(model)

    assert names("full") == {"body.1"}
    assert [names(kind) for kind in ("groups", "depthwise", "constant")] == [frozenset()] * 3


class Domains(nn.Module):
    """One BatchNorm of many works, that of the domain."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.out = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 1)
        self.norms = nn.ModuleDict(
            {name: nn.BatchNorm2d(8) for name in ["photo", "sketch", "clipart", "painting", "quick"]}
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.norms["clipart"](self.conv(x)).relu())


def test_scales_of_siblings_are_in_the_networks_order() -> None:
    model = Domains()
    (group,) = find_groups(model, Inputs.of(torch.zeros(2, 3, 8, 8))).groups
    first, *others = group.scales
    assert first == "norms.clipart"
    assert others == [f"norms.{name}" for name in model.norms if name != "clipart"]


@pytest.mark.parametrize(
    ("groups", "tie"), [(1, None), (2, Tie(0, 2, 1)), (4, Tie(0, 1, 4)), (8, Tie(0, 1, 2))], ids=str
)
def test_rows_of_grouped_convolutions_that_go_together(groups: int, tie: Tie | None) -> None:
    model = nn.Sequential(nn.Conv2d(3, 16, 3), nn.Conv2d(16, 16, 3, groups=groups), nn.Conv2d(16, 2, 3))
    found = find_groups(model, Inputs.of(torch.zeros(1, 3, 12, 12)))
    assert found.ties.get("1.weight") == tie
    known = find_groups(model, Inputs.of(torch.zeros(1, 3, 12, 12)), found.ties)
    assert [group.name for group in known.groups] == [group.name for group in found.groups]
    assert known.ties == found.ties


def test_what_was_tied_before_is_tied_again() -> None:
    """Groups of two read and give as many channels as there are groups: by their size they would go as a whole."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, groups=2), nn.Conv2d(4, 2, 3))
    images = Inputs.of(torch.zeros(1, 3, 12, 12))
    assert find_groups(model, images).ties["1.weight"] == Tie(0, 1, 2)
    for tied in ({"1.weight": Tie(0, 2, 1)}, {"0.weight": Tie(0, 2, 1)}):
        found = find_groups(model, images, tied)
        assert (found.ties["0.weight"], found.ties["1.weight"]) == (Tie(0, 2, 1), Tie(0, 2, 1))
