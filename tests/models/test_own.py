import copy
from typing import Any

import pytest
import torch
from torch import nn

import netslim
from netslim.core.errors import ArgumentError
from netslim.core.plugins.references import UserObject
from netslim.core.protocols import ArchSpec
from netslim.models.own import arch_of, own_network


class Net(nn.Module):
    """A network whose own attributes are called as those of netslim's architectures."""

    def __init__(self, width: int = 8, num_classes: int = 5) -> None:
        super().__init__()
        self.cfg, self.arch, self.plan = [width], "mine", "B"
        self.body = nn.Sequential(nn.Conv2d(1, width, 3), nn.BatchNorm2d(width), nn.ReLU())
        self.fc = nn.Linear(width, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert (self.arch, self.plan) == ("mine", "B")
        return self.fc(self.body(x).mean((2, 3)))


def own(value: Any) -> UserObject:
    return UserObject(field="arch", reference="nets.py:net", value=value, sha256="f" * 64)


def test_how_it_is_built_again_stands_on_the_network_and_its_copies() -> None:
    model = own_network(own(Net), {"width": 6}, {"num_classes": 3, "in_channels": 1})
    expected = ArchSpec(name="nets.py:net", arguments={"num_classes": 3, "width": 6}, sha256="f" * 64)
    assert arch_of(model) == expected
    assert arch_of(copy.deepcopy(model)) == expected
    assert type(model) is Net


def test_its_own_attributes_stay_what_they_are_through_pruning() -> None:
    model = own_network(own(Net), {})
    nn.init.uniform_(model.body[1].weight)
    small = netslim.apply(model, netslim.plan(model, torch.zeros(2, 1, 8, 8), percent=0.5))
    assert small(torch.zeros(1, 1, 8, 8)).shape == (1, 5)
    assert (small.cfg, arch_of(small)) == ([8], arch_of(model))


def test_a_network_itself_will_do_and_one_that_says_nothing_has_no_architecture() -> None:
    model = nn.Conv2d(1, 2, 3)
    first, second = own_network(own(model), {}), own_network(own(lambda: model), {})
    assert first is not second
    assert torch.equal(first.weight, second.weight)
    assert arch_of(first) is not None
    assert arch_of(model) is None


@pytest.mark.parametrize(
    ("value", "arguments", "said"),
    [
        (lambda: {"a": 1}, {}, "`arch='nets.py:net'`: it gives a dict, not a network (torch.nn.Module)"),
        (3, {}, "`arch='nets.py:net'`: it gives an int, not a network (torch.nn.Module), or a function or class that"),
        (Net, {"wdth": 3}, "`arch_args='wdth=3'`: nets.py:net: got an unexpected keyword argument 'wdth' (it takes wi"),
        (nn.ReLU(), {"width": 3}, "`arch_args=['width']`: nets.py:net is a network already: leave them out"),
        (
            nn.LazyLinear,
            {"out_features": 3},
            "`arch='nets.py:net'`: it has lazy layers: give them their in_channels",
        ),
        (Net, {"width": [[1], [2]]}, "`arch_args='width=[[1], [2]]'`: a file records numbers, texts, true, false, nul"),
    ],
)
def test_what_is_no_network(value: Any, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        own_network(own(value), arguments)
    assert str(caught.value).startswith(said)
