"""Networks inside of others, weights that are computed: plain names and values, and the original is left as it was."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune, spectral_norm, weight_norm

import netslim
from netslim.core.errors import UsageError
from netslim.core.networks.wrappers import plain, unwrapped

IMAGES = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def network() -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3), nn.Flatten(1))
    nn.init.normal_(model[1].weight)
    nn.init.normal_(model[1].bias)
    return model.eval()


class Size(nn.Module):
    """A parametrization of a user's own."""

    def forward(self, weight: Tensor) -> Tensor:
        return weight.abs()


def own(layer: nn.Module) -> nn.Module:
    return parametrize.register_parametrization(layer, "weight", Size())


COMPUTED: dict[str, Callable[[nn.Module], nn.Module]] = {
    "weight_norm": parametrizations.weight_norm,
    "spectral_norm": parametrizations.spectral_norm,
    "orthogonal": parametrizations.orthogonal,
    "own": own,
    "old weight_norm": weight_norm,
    "old spectral_norm": spectral_norm,
    "pruned": lambda layer: prune.l1_unstructured(layer, "weight", 0.5),
    "pruned filters": lambda layer: prune.ln_structured(layer, "weight", 0.5, 2, 0),
    "pruned twice": lambda layer: prune.random_unstructured(prune.l1_unstructured(layer, "weight", 0.3), "weight", 0.3),
}


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("place", [0, 3])
@pytest.mark.parametrize("kind", COMPUTED)
def test_computed_weights_are_fixed_at_their_values_in_a_copy(kind: str, place: int, training: bool) -> None:
    model = network()
    model[place] = COMPUTED[kind](model[place])
    with torch.no_grad():
        before = model.eval()(IMAGES)
    model.train(training)
    names, classes = list(model.state_dict()), [type(module) for module in model]
    for _ in range(2):
        found = plain(model)
        assert set(found.state_dict()) == set(network().state_dict())
        assert all(isinstance(parameter, nn.Parameter) and parameter.is_leaf for parameter in found.parameters())
        with torch.no_grad():
            torch.testing.assert_close(found.eval()(IMAGES), before)
    assert list(model.state_dict()) == names
    assert [type(module) for module in model] == classes
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(IMAGES), before)


@pytest.mark.parametrize("kind", COMPUTED)
def test_they_are_planned_cut_and_held_against_the_original(kind: str) -> None:
    model = network()
    model[0] = COMPUTED[kind](model[0])
    small = netslim.apply(model, netslim.plan(model, IMAGES, percent=0.4))
    assert small[0].weight.shape[0] == small[3].in_channels == 4
    assert netslim.verify(model, small, IMAGES).agrees


def test_frozen_weights_stay_frozen() -> None:
    model = network()
    model[0] = parametrizations.weight_norm(model[0])
    model.requires_grad_(False)
    assert not any(parameter.requires_grad for parameter in plain(model).parameters())


def test_what_is_plain_is_given_back_itself() -> None:
    model = network()
    assert plain(model) is model
    assert plain(nn.DataParallel(model)) is model
    assert unwrapped(nn.DataParallel(nn.DataParallel(model))) is model
    assert unwrapped(torch.compile(nn.DataParallel(model), backend="eager")) is model


def test_parts_that_were_compiled_have_plain_names() -> None:
    model = network()
    model[0] = torch.compile(model[0], backend="eager")
    found = plain(model)
    assert list(found.state_dict()) == list(network().state_dict())
    assert isinstance(found[0], nn.Conv2d)
    assert not isinstance(model[0], nn.Conv2d)


@pytest.mark.parametrize("part", ["", "1", "0"])
def test_parts_whose_calls_were_compiled_in_place(part: str) -> None:
    model = network()
    plain_model = copy.deepcopy(model)
    model.get_submodule(part).compile(backend="eager")
    decided = netslim.plan(model, IMAGES, percent=0.3)
    assert decided.groups == netslim.plan(plain_model, IMAGES, percent=0.3).groups
    small = netslim.apply(model, decided)
    with torch.no_grad():
        torch.testing.assert_close(small(IMAGES), netslim.apply(plain_model, decided)(IMAGES))


@pytest.mark.parametrize("wrap", [nn.DataParallel, lambda model: torch.compile(model, backend="eager")])
def test_plans_and_files_of_wrapped_networks_have_plain_names(
    wrap: Callable[[nn.Module], nn.Module], tmp_path: Path
) -> None:
    model = wrap(network())
    decided = netslim.plan(model, IMAGES, percent=0.4)
    assert decided.groups == netslim.plan(network(), IMAGES, percent=0.4).groups
    small = netslim.apply(model, decided)
    netslim.save(tmp_path / "small.pth.tar", small)
    again = netslim.load(tmp_path / "small.pth.tar", model=network())
    assert torch.equal(again.eval()(IMAGES), small.eval()(IMAGES))
    assert not [key for key in small.state_dict() if key.startswith(("module.", "_orig_mod."))]


def test_networks_of_fx() -> None:
    model = torch.fx.symbolic_trace(network())
    small = netslim.apply(model, netslim.plan(model, IMAGES, percent=0.4))
    assert small.get_submodule("0").out_channels == 4
    assert netslim.verify(model, small, IMAGES).agrees


def refusal(model: nn.Module, example: Tensor = IMAGES, **options: str) -> str:
    with pytest.raises(UsageError) as caught:
        netslim.plan(model, example, percent=0.5, **options)
    return str(caught.value)


def test_networks_that_are_refused_in_one_line() -> None:
    lazy = nn.Sequential(nn.LazyConv2d(8, 3), nn.BatchNorm2d(8))
    unknown = "Sequential: the shape of 0.weight is not known yet: run the network once on an input"
    assert refusal(lazy) == unknown
    with pytest.raises(UsageError, match="is not known yet"):
        netslim.measure(lazy, IMAGES)
    assert refusal(torch.jit.trace(network(), IMAGES)).endswith(
        "was compiled by torch.jit, and can't be cut: give the network that it was made from"
    )
    assert refusal(network().to("meta")) == (
        "Sequential is on the meta device, so that criterion 'bn_scale' has no weights to read; load some first "
        "(`model.to_empty(device='cpu')` and `load_state_dict`)"
    )
