"""The network inside of wrappers, and computed weights that become parameters in a copy."""

from collections.abc import Iterator

import pytest
import torch
from torch import distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.utils import parametrizations, prune
from torch.optim.swa_utils import AveragedModel

from netslim.core.errors import UsageError
from netslim.core.networks.copies import copied
from netslim.core.networks.wrappers import plain, unwrapped


def test_what_is_inside_of_wrappers() -> None:
    model = nn.Linear(2, 2)
    assert unwrapped(nn.DataParallel(model)) is model
    assert unwrapped(torch.compile(nn.DataParallel(model), backend="eager")) is model
    average = AveragedModel(nn.DataParallel(model))
    assert unwrapped(average) is average.module.module
    assert unwrapped(model) is model
    assert plain(model) is model


@pytest.mark.parametrize(
    "computed",
    [
        parametrizations.weight_norm,
        parametrizations.orthogonal,
        lambda layer: prune.l1_unstructured(layer, "weight", 0.5),
    ],
)
def test_computed_weights_are_parameters_of_the_same_values_in_a_copy(computed) -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    computed(model[0])
    names, x = set(model.state_dict()), torch.randn(3, 4)
    found = plain(model)
    assert set(dict(found.named_parameters())) == {"0.weight", "0.bias"}
    torch.testing.assert_close(found(x), model(x))
    assert set(model.state_dict()) == names
    plain(model).load_state_dict(found.state_dict())  # no hook asks for what the weight was computed from


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize("computed", [nn.utils.weight_norm, nn.utils.spectral_norm])
def test_a_network_with_weights_that_a_hook_computes_is_copied(computed) -> None:
    model, x = nn.Sequential(computed(nn.Linear(4, 4))), torch.randn(3, 4)
    expected = model(x)
    torch.testing.assert_close(copied(model.eval())(x), model(x))
    assert expected.shape == (3, 4)


def test_networks_that_can_not_be_cut() -> None:
    with pytest.raises(UsageError, match=r"was compiled by torch\.jit, and can't be cut: give the network that it was"):
        plain(torch.jit.script(nn.Linear(2, 2)))
    with pytest.raises(UsageError, match=r"the shape of weight is not known yet: run the network once on an input$"):
        plain(nn.LazyLinear(2))


@pytest.fixture
def one_process() -> Iterator[None]:
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.usefixtures("one_process")
def test_a_network_that_is_spread_over_processes() -> None:
    mesh = init_device_mesh("cpu", (1,))
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    fully_shard(model, mesh=mesh)
    with pytest.raises(UsageError, match=r"is spread over processes \(FSDP\), and can't be cut: prune it before"):
        plain(model)
