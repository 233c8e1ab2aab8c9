"""The cost of what is left is what the rebuilt network costs."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torchvision import models

from netslim.core.networks.example import Inputs
from netslim.core.protocols import GroupPlan
from netslim.cost import MacCount, count_products, measure
from netslim.dependency.groups import groups_of
from netslim.models import create_model
from netslim.pruning import apply, plan
from netslim.pruning.budget.cost_model import CostModel
from pruning import structures
from pruning.networks import EXAMPLE, Flattened, randomised, resnet


def products(model: nn.Module, example: Tensor) -> MacCount:
    return count_products(model, Inputs.of(example))


def check(model: nn.Module, example: torch.Tensor, seed: int = 0, residual: str | None = None) -> None:
    """Some channels of every group gone."""
    generator = torch.Generator().manual_seed(seed)
    decided = plan(model, example, percent=0, criterion="l1_norm", residual=residual)
    groups = {own.group.name: own for own in groups_of(model, Inputs.of(example), residual).groups}
    costs = CostModel(model, [groups[part.name] for part in decided.groups], products(model, example), len(example))
    assert costs.now == measure(model, example)
    removed = [int(torch.randint(0, part.total, (), generator=generator)) for part in decided.groups]
    parts = [
        GroupPlan(name=part.name, total=part.total, keep=tuple(range(gone, part.total)))
        for part, gone in zip(decided.groups, removed, strict=True)
    ]
    small = apply(model, replace(decided, groups=tuple(parts)))
    assert costs.at(torch.tensor(removed)) == measure(small, example)


@given(st.integers(0, 1000))
@settings(deadline=None, max_examples=5)
def test_networks_with_selections(seed: int) -> None:
    check(resnet(), EXAMPLE, seed)


@pytest.mark.parametrize("name", ["densenet", "vgg"])
def test_declared_families(name: str) -> None:
    check(create_model(name, depth={"densenet": 10, "vgg": 11}[name], in_channels=1), torch.zeros(1, 1, 16, 16))


def test_flattened_inputs() -> None:
    check(Flattened(side=4, channels=6), torch.zeros(1, 1, 4, 4))


@pytest.mark.parametrize("structure", [structures.Residual, structures.Grouped])
def test_traced_structures(structure: type[nn.Module]) -> None:
    check(randomised(structure()), torch.zeros(structures.SHAPE))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name", ["mobilenet_v3_small", pytest.param("shufflenet_v2_x0_5", marks=pytest.mark.slow), "resnet18"]
)
def test_networks_of_a_library(name: str) -> None:
    check(getattr(models, name)(num_classes=4), torch.zeros(1, 3, 32, 32))


def test_the_coupled_form_of_a_network_with_selections() -> None:
    check(resnet(), EXAMPLE, residual="couple")


def test_a_pruned_network() -> None:
    model = resnet()
    small = apply(model, plan(model, EXAMPLE, percent=0.5))
    costs = CostModel(small, groups_of(small, Inputs.of(EXAMPLE)).groups, products(small, EXAMPLE), len(EXAMPLE))
    assert costs.now == measure(small, EXAMPLE)


def test_macs_that_go_with_a_channel() -> None:
    """conv 1 -> 6, 3 x 3, on 4 x 4, and its 16 inputs of a linear layer with three outputs."""
    model = Flattened(side=4, channels=6)
    example = torch.zeros(1, 1, 4, 4)
    costs = CostModel(model, groups_of(model, Inputs.of(example)).groups, products(model, example))
    assert costs.per_channel("macs") == [9 * 16 + 16 * 3]


def test_a_layer_that_is_used_twice_counts_twice() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3, padding=1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.conv(self.conv(x))

    image = torch.zeros(2, 3, 5, 5)
    model = Twice()
    assert products(model, image).parameters == {"conv.weight": 2 * 2 * 25 * model.conv.weight.numel()}
    assert measure(Twice(), image).macs == 2 * 25 * 81


class EqualisedRate(nn.Module):
    """Weights that are scaled at every call, as in progressive and style-based generators (Karras et al. 2018)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 12, 3), nn.BatchNorm2d(12)
        self.weight, self.bias = nn.Parameter(torch.randn(10, 12, 3, 3)), nn.Parameter(torch.randn(10))
        self.last = nn.BatchNorm2d(10)
        self.head = nn.Linear(10, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.stem(x)).relu()
        x = nn.functional.conv2d(x.double(), self.weight.double() * 0.1, self.bias.double())
        x = self.last(x.to(self.weight.dtype)).relu()
        found: Tensor = self.head(x.mean((2, 3)))
        return found


def test_weights_that_are_made_from_one_parameter_number_by_number() -> None:
    check(randomised(EqualisedRate()), torch.zeros(1, 3, 10, 10))


class Blurred(nn.Module):
    """Antialiased pooling: one fixed filter in a buffer, repeated for every channel."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm, self.head = nn.Conv2d(3, 12, 3), nn.BatchNorm2d(12), nn.Conv2d(12, 4, 1)
        self.register_buffer("blur", torch.ones(12, 1, 3, 3) / 9)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.stem(x)).relu()
        found: Tensor = self.head(nn.functional.conv2d(x, self.blur, stride=2, groups=x.shape[1]))
        return found


def test_fixed_filters_in_buffers_go_with_their_channels() -> None:
    check(randomised(Blurred()), torch.zeros(1, 3, 10, 10))
