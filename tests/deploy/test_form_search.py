"""Which forms are tried, and which is taken."""

import pytest
import torch
from exported_networks import IMAGES, NETWORKS, pruned
from torch import nn

import netslim
from netslim.cost import Latency
from netslim.deploy import TARGETS, Form, for_inference
from netslim.deploy.form_search import Search, choose, live_bytes, live_bytes_unpruned
from netslim.deploy.inference import shaped, simplified

EAGER = TARGETS.get("eager")


def chosen(network: nn.Module, search: Search, tried: list[str]) -> Form:
    simple = simplified(network, IMAGES)
    found = choose(simple, IMAGES, lambda own: lambda: own(IMAGES), search.forms(EAGER), search)
    tried[:] = [str(form) for form in found.measured]
    return found.form


def test_the_fastest_width_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    times = {"zeros/8/nhwc": 1.0, "zeros/16/nchw": 1.0}

    def measured(calls: dict[str, object], **_: object) -> dict[str, Latency]:
        quartiles = {name: times.get(name, 9.0) for name in calls}
        return {name: Latency(median=t, lower_quartile=t, upper_quartile=t, runs=5) for name, t in quartiles.items()}

    monkeypatch.setattr("netslim.deploy.form_search.measure_fastest", measured)
    tried: list[str] = []
    assert chosen(NETWORKS["resnet"](), Search(), tried) == Form(multiple=8, layout="nhwc")
    assert tried == ["zeros/1/nhwc", "zeros/8/nhwc", "zeros/16/nhwc"]
    assert chosen(NETWORKS["resnet"](), Search(layout="nchw"), tried) == Form(multiple=16)
    assert chosen(NETWORKS["resnet"](), Search(selection="gather", clamp=False, layout="nchw"), tried).multiple == 1
    assert tried == [f"gather/{multiple}/nchw/norms" for multiple in (1, 8, 16)]
    assert chosen(NETWORKS["resnet"](), Search(multiple=8), tried) == Form(multiple=8, layout="nhwc")
    assert tried == []


def test_widths_that_are_multiples_already_are_no_other_forms() -> None:
    tried: list[str] = []
    model = netslim.create_model(
        "vgg", depth=11, num_classes=16, cfg=[16, "M", 16, "M", 16, 16, "M", 32, 16, "M", 16, 16]
    )
    assert chosen(model.eval(), Search(seconds=0.001), tried) == Form(layout="nhwc")
    assert tried == []


class Twice(nn.Module):
    """One image of 3x8x8 -> 8 channels, ReLU over them, and a sum with a second convolution of the same."""

    def __init__(self, inplace: bool) -> None:
        super().__init__()
        self.first, self.relu, self.second = nn.Conv2d(3, 8, 1), nn.ReLU(inplace), nn.Conv2d(8, 8, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        y = self.relu(x)
        return y + self.second(y)


def test_live_bytes_are_those_of_the_tensors_that_are_held_together() -> None:
    """ReLU is written over the convolution's values, and the sum over the second's: two tensors at a time."""
    one = 8 * 8 * 8 * 4
    network = for_inference(Twice(inplace=False), torch.zeros(2, 3, 8, 8))
    assert live_bytes(network) == 2 * one
    for node in network.graph.nodes:
        if node.op == "call_module" and isinstance(network.get_submodule(str(node.target)), nn.ReLU):
            network.get_submodule(str(node.target)).inplace = False
    assert live_bytes(network) == 2 * one, "the convolution's values are done with when ReLU's are there"


def test_a_form_needs_no_more_than_the_unpruned_network() -> None:
    """27 channels of 28 are left: 32 would be more than there ever were."""
    model = pruned("vgg", depth=11, percent=0.02, cfg=[28, "M", 28, "M", 28, 28, "M", 28, 28, "M", 28, 28])
    most, simple = live_bytes_unpruned(model, IMAGES, Form()), simplified(model, IMAGES)
    assert most == 28 * (16 * 16 + 8 * 8) * 4  # before and after pooling
    assert live_bytes(shaped(simple, IMAGES, Form(multiple=16))) > most
    tried: list[str] = []
    chosen(model, Search(seconds=0.001), tried)
    assert len(tried) == 2
    assert chosen(model, Search(seconds=0.001, most=most), tried).multiple == 1
    assert tried == []


def test_branches_that_start_at_zero_count() -> None:
    model, images = netslim.create_model("timm/test_resnet", num_classes=4, stem="cifar"), torch.randn(2, 3, 16, 16)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)  # as after a training
    small = netslim.apply(model, netslim.plan(model, images[:1], percent=0.3))
    assert live_bytes_unpruned(small, images, Form()) == live_bytes(shaped(simplified(model, images), images, Form()))


def test_networks_whose_unpruned_one_is_not_known() -> None:
    assert live_bytes_unpruned(NETWORKS["inverted"](), IMAGES, Form()) is None
    assert live_bytes_unpruned(netslim.create_model("resnet", depth=11, num_classes=4), IMAGES, Form()) is None


@pytest.mark.parametrize("name", ["resnet", "coupled", "vgg", "densenet", "resnet18"])
def test_what_may_be_chosen_holds_no_more_than_the_unpruned_network(name: str) -> None:
    model = NETWORKS[name]()
    simple, most = simplified(model, IMAGES), live_bytes_unpruned(model, IMAGES, Form())
    assert most is not None
    forms = Search().forms(EAGER)
    found = choose(simple, IMAGES, lambda own: lambda: own(IMAGES), forms, Search(seconds=0.001, most=most))
    for form in found.measured or [found.form]:
        assert live_bytes(shaped(simple, IMAGES, form)) <= most
