"""Momentum through surgery: the pruned network steps on as the masked one would."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netslim.core.errors import UsageError
from netslim.core.protocols import PrunableModel
from netslim.models import create_model
from netslim.pruning import apply, masked, plan
from netslim.pruning.optimizer_state import carried
from netslim.training.optimizer import build_sgd, export_state, momentum_of, set_momentum_, with_momentum

IMAGES, LABELS = (
    torch.randn(6, 3, 16, 16, dtype=torch.double, generator=torch.Generator().manual_seed(3)),
    torch.arange(6) % 4,
)


def residual() -> nn.Module:
    return create_model("resnet", depth=11, num_classes=4)


def plain() -> nn.Module:
    layers = [
        nn.Conv2d(3, 8, 3),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, groups=8),
        nn.BatchNorm2d(8),
        nn.ReLU(),
    ]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 4))


def network(build: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(1)
    model = build().double()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.1, 1)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    return model


def some_momentum(model: nn.Module) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(2)
    return {n: torch.randn(p.shape, dtype=p.dtype, generator=generator) for n, p in model.named_parameters()}


def step_(model: nn.Module, momentum: dict[str, Tensor]) -> nn.Module:
    optimizer = build_sgd(model.train(), lr=0.05, momentum=0.9, weight_decay=0.01)
    set_momentum_(optimizer, model, momentum)
    F.cross_entropy(model(IMAGES), LABELS).backward()
    optimizer.step()
    return model


@pytest.mark.parametrize("build", [residual, plain])
@pytest.mark.parametrize("criterion", ["bn_scale", "random"])
def test_a_step_of_the_pruned_network_is_the_step_of_the_masked_one(
    build: Callable[[], nn.Module], criterion: str
) -> None:
    model = network(build)
    decided, momentum = plan(model, IMAGES[:1], percent=0.4, criterion=criterion), some_momentum(model)
    full = apply(step_(masked(model, decided), momentum), decided)
    small = step_(apply(model, decided), carried(momentum, model, decided))
    expected = dict(full.named_parameters())
    seen = chosen(small)
    assert any(p.shape != dict(model.named_parameters())[name].shape for name, p in expected.items())
    for name, parameter in small.named_parameters():
        place = seen.get(name, slice(None))
        assert torch.allclose(parameter[place], expected[name][place], rtol=0, atol=1e-12), name


def chosen(model: nn.Module) -> dict[str, Tensor]:
    """By parameter in front of a channel selection, the entries that the selection chooses: the others do nothing."""
    groups = model.channel_groups() if isinstance(model, PrunableModel) else ()
    return {
        f"{scale}.{tensor}": model.get_submodule(group.selection).index
        for group in groups
        for scale in group.scales
        for tensor in ("weight", "bias")
        if group.selection
    }


def test_without_the_momentum_it_is_another_step() -> None:
    model = network(plain)
    decided, momentum = plan(model, IMAGES[:1], percent=0.4), some_momentum(model)
    kept = carried(momentum, model, decided)
    fresh, going_on = step_(apply(model, decided), {}), step_(apply(model, decided), kept)
    for (name, one), other in zip(fresh.named_parameters(), going_on.parameters(), strict=True):
        assert torch.allclose(one - other, 0.05 * 0.9 * kept[name], rtol=0, atol=1e-12)


def test_the_network_is_left_as_it_is_and_what_has_no_momentum_gets_none() -> None:
    model = network(residual)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    decided = plan(model, IMAGES[:1], percent=0.4)
    found = carried({"conv1.weight": torch.ones_like(model.get_parameter("conv1.weight"))}, model, decided)
    assert list(found) == ["conv1.weight"]
    assert bool((found["conv1.weight"] == 1).all())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_in_a_file_it_is_numbered_as_the_pruned_network() -> None:
    model = network(residual)
    decided, momentum = plan(model, IMAGES[:1], percent=0.4), some_momentum(model)
    optimizer = build_sgd(model, lr=0.05, momentum=0.9, weight_decay=0.01)
    set_momentum_(optimizer, model, momentum)
    exported, small = export_state(optimizer, model), apply(model, decided)
    assert momentum_of(exported, model).keys() == momentum.keys()
    kept = carried(momentum_of(exported, model), model, decided)
    found = with_momentum(exported, small, kept)
    assert found["param_groups"][0]["momentum"] == 0.9
    back = momentum_of(found, small)
    assert all(torch.equal(back[name], kept[name]) for name, _ in small.named_parameters())


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("conv9.weight", (3,), r"^the momentum of conv9\.weight has shape \(3,\), the network no such parameter$"),
        ("fc.bias", (5,), r"^the momentum of fc\.bias has shape \(5,\), the network \(4,\)$"),
    ],
)
def test_the_momentum_of_another_network(name: str, shape: tuple[int, ...], message: str) -> None:
    model = network(residual)
    with pytest.raises(UsageError, match=message):
        carried({name: torch.zeros(shape)}, model, plan(model, IMAGES[:1], percent=0.4))
