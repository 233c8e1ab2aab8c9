import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netslim.core.errors import CheckpointError
from netslim.models import create_model
from netslim.training.optimizer import build_sgd, export_state, import_state


def train(model: nn.Module, optimizer: torch.optim.Optimizer, batch: tuple[Tensor, Tensor], steps: int) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(batch[0]), batch[1]).backward()
        optimizer.step()


def sgd(model: nn.Module) -> torch.optim.SGD:
    return build_sgd(model, lr=0.1, momentum=0.9, weight_decay=1e-4)


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.9, True)])
def test_a_step_is_torchs(
    make_tiny: Callable[[], nn.Module], batch: tuple[Tensor, Tensor], momentum: float, nesterov: bool
) -> None:
    """To the bit, and without a gradient of its own."""
    settings: dict[str, Any] = {"lr": 0.1, "momentum": momentum, "weight_decay": 1e-2, "nesterov": nesterov}
    ours, theirs = make_tiny(), make_tiny()
    train(ours, build_sgd(ours, **settings), batch, 5)
    train(theirs, torch.optim.SGD(theirs.parameters(), fused=True, **settings), batch, 5)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(mine, other)
        assert mine.is_leaf


def test_numbers_are_the_originals(make_tiny: Callable[[], nn.Module], batch: tuple[Tensor, Tensor]) -> None:
    """There, selection vectors are parameters (without a gradient, so without state) and are numbered like the rest."""
    model = make_tiny()
    optimizer = sgd(model)
    train(model, optimizer, batch, 1)
    exported = export_state(optimizer, model)
    names = ["conv.weight", "bn.weight", "bn.bias", "select.indexes", "fc.weight", "fc.bias"]
    assert exported["param_groups"][0]["params"] == list(range(6))
    assert sorted(exported["state"]) == [0, 1, 2, 4, 5]
    for number, name in enumerate(names):
        if name != "select.indexes":
            buffer = optimizer.state[model.get_parameter(name)]["momentum_buffer"]
            assert torch.equal(exported["state"][number]["momentum_buffer"], buffer)


def test_torch_loads_it_into_an_optimizer_over_the_originals_parameters(
    make_tiny: Callable[[], nn.Module], batch: tuple[Tensor, Tensor]
) -> None:
    model = make_tiny()
    optimizer = sgd(model)
    train(model, optimizer, batch, 2)
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    originals = [nn.Parameter(v.clone()) for k, v in model.state_dict().items() if not k.endswith(statistics)]
    theirs = torch.optim.SGD(originals, lr=0.5, momentum=0.9, weight_decay=1e-4)
    for momentum in (True, False):
        theirs.load_state_dict(export_state(optimizer, model, momentum=momentum))
    theirs.step()
    assert theirs.param_groups[0]["lr"] == 0.1


def test_a_training_goes_on_to_the_same_bits(make_tiny: Callable[[], nn.Module], batch: tuple[Tensor, Tensor]) -> None:
    whole, cut = make_tiny(), make_tiny()
    train(whole, sgd(whole), batch, 5)
    first = sgd(cut)
    train(cut, first, batch, 2)
    exported = copy.deepcopy(export_state(first, cut))
    second = sgd(cut)
    import_state(second, cut, exported)
    train(cut, second, batch, 3)
    for key, value in whole.state_dict().items():
        assert torch.equal(value, cut.state_dict()[key]), key


def test_the_rate_of_the_schedule_comes_back(make_tiny: Callable[[], nn.Module]) -> None:
    model = make_tiny()
    optimizer = sgd(model)
    optimizer.param_groups[0]["lr"] = 0.001
    fresh = sgd(model)
    import_state(fresh, model, export_state(optimizer, model))
    assert fresh.param_groups[0]["lr"] == 0.001


def test_without_momentum_only_the_settings_are_exported(
    make_tiny: Callable[[], nn.Module], batch: tuple[Tensor, Tensor]
) -> None:
    model = make_tiny()
    optimizer = sgd(model)
    train(model, optimizer, batch, 1)
    exported = export_state(optimizer, model, momentum=False)
    assert exported["state"] == {}
    assert exported["param_groups"][0]["momentum"] == 0.9


def test_the_resnets_numbers_follow_its_state_dict() -> None:
    model = create_model("resnet", depth=11, num_classes=2, in_channels=1)
    exported = export_state(sgd(model), model)
    learnable, selections = len(list(model.parameters())), 4
    assert exported["param_groups"][0]["params"] == list(range(learnable + selections))


def test_a_state_of_another_network_is_refused(
    make_tiny: Callable[[], nn.Module], batch: tuple[Tensor, Tensor]
) -> None:
    model = make_tiny()
    optimizer = sgd(model)
    train(model, optimizer, batch, 1)
    exported = export_state(optimizer, model)
    exported["state"][1]["momentum_buffer"] = torch.zeros(7)
    with pytest.raises(CheckpointError, match=r"^the optimizer's state of bn\.weight has shape \(7,\), not \(4,\)$"):
        import_state(sgd(model), model, exported)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"param_groups": []}, r"^the optimizer's state has no settings \(param_groups\)$"),
        ({"state": {1: {"momentum_buffer": "x"}}}, r"^the optimizer's momentum of bn\.weight is a str, not a tensor$"),
    ],
)
def test_a_state_that_is_none_is_refused(
    given: dict[str, Any], message: str, make_tiny: Callable[[], nn.Module]
) -> None:
    model = make_tiny()
    exported = export_state(sgd(model), model)
    with pytest.raises(CheckpointError, match=message):
        import_state(sgd(model), model, {**exported, **given})


def test_without_decay_a_scale_stays_where_it_is_and_the_rest_shrinks(make_tiny: Callable[[], nn.Module]) -> None:
    model = make_tiny()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizer = build_sgd(model, lr=0.1, momentum=0.0, weight_decay=0.5, scale_decay=False)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for name, parameter in model.named_parameters():
        expected = before[name] if name == "bn.weight" else before[name] * (1 - 0.1 * 0.5)
        torch.testing.assert_close(parameter.detach(), expected)
