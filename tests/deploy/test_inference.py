"""The network for inference computes what the trained one computes, with less: numbers first, then what is gone."""

from collections import Counter
from typing import cast

import pytest
import torch
from exported_networks import IMAGES, NETWORKS, outputs, pruned, randomised
from torch import Tensor, fx, nn

from netslim.core.errors import UsageError
from netslim.deploy import Form, for_inference
from netslim.deploy.form_search import MULTIPLES
from netslim.deploy.fx_graph import UntraceableError, layer_of, name_of
from netslim.deploy.inference import LAYOUTS, SELECTIONS, shaped, simplified
from netslim.models import ChannelSelection


def kinds(network: fx.GraphModule) -> Counter[str]:
    return Counter(name_of(node) for node in network.graph.nodes)


def widths(network: fx.GraphModule) -> list[int]:
    return [layer.out_channels for layer in network.children() if isinstance(layer, nn.Conv2d)]


@pytest.mark.parametrize("name", NETWORKS)
def test_every_form_computes_the_same_at_any_batch_size(name: str) -> None:
    model = NETWORKS[name]()
    network = simplified(model, IMAGES)
    images = torch.randn(7, *IMAGES.shape[1:], generator=torch.Generator().manual_seed(2))
    expected = outputs(model, images)
    forms = [
        Form(selection=s, multiple=m, layout=x, clamp=x == LAYOUTS[0] or m > 1)
        for s, m in zip(SELECTIONS * 2, MULTIPLES, strict=False)
        for x in LAYOUTS
    ]
    for form in forms:
        found = shaped(network, IMAGES, form)
        for batch in (1, 2, 7):
            torch.testing.assert_close(outputs(found, images[:batch]), expected[:batch], rtol=1e-5, atol=1e-5)
        after_convs = [n for n in found.graph.nodes if name_of(n) == "BatchNorm2d" and name_of(n.args[0]) == "Conv2d"]
        assert not [node for node in after_convs if len(node.args[0].users) == 1]


def test_the_trained_network_is_left_as_it_was() -> None:
    model = NETWORKS["resnet"]()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    for_inference(model.train(), IMAGES)
    assert model.training
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_selections_are_gathers_before_the_norm_or_nothing() -> None:
    model = NETWORKS["resnet"]()
    gathers = for_inference(model, IMAGES, Form(selection="gather"))
    zeros = for_inference(model, IMAGES, Form(selection="zeros"))
    picked = [node for node in gathers.graph.nodes if name_of(node) == "index_select"]
    assert picked
    assert all(name_of(user) in ("BatchNorm2d", "clamp") for node in picked for user in node.users)
    assert kinds(zeros)["index_select"] == 0
    assert not [name for name, _ in zeros.named_buffers() if name.endswith("index")]


def test_a_coupled_network_has_no_selections_to_choose_from() -> None:
    assert kinds(for_inference(NETWORKS["coupled"](), IMAGES, Form(selection="gather")))["index_select"] == 0


@pytest.mark.parametrize("multiple", [8, 16])
def test_widths_are_rounded_up_where_they_can_be(multiple: int) -> None:
    found = for_inference(NETWORKS["vgg"](), IMAGES, Form(multiple=multiple))
    assert all(width % multiple == 0 for width in widths(found))
    inverted = for_inference(NETWORKS["inverted"](), IMAGES, Form(multiple=multiple))
    depthwise = [m for m in inverted.children() if isinstance(m, nn.Conv2d) and m.groups > 1]
    assert [layer.groups for layer in depthwise] == [16, 16]
    dense = for_inference(NETWORKS["densenet"](), IMAGES, Form(multiple=multiple))
    assert 12 in widths(dense)  # what is concatenated stays


class Block(nn.Module):
    """A residual block between a convolution and a classifier; `scale` is that of the inner BatchNorm."""

    def __init__(self, scale: float, shift: float, kernel: int) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4, 2)
        self.conv, self.bn = nn.Conv2d(4, 5, 1, bias=False), nn.BatchNorm2d(5)
        self.last = nn.Conv2d(5, 4, kernel, padding=kernel // 2, bias=False)
        nn.init.constant_(self.bn.weight, scale)
        nn.init.constant_(self.bn.bias, shift)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        x = torch.relu(x + self.last(torch.relu(self.bn(self.conv(x)))))
        return self.head(x.mean((2, 3)))


def test_a_branch_whose_scales_are_zero_is_gone() -> None:
    """gamma 0 and beta -1: ReLU gives zero, so the branch adds nothing."""
    model = Block(scale=0, shift=-1, kernel=3).eval()
    found = for_inference(model, IMAGES)
    assert kinds(found)["Conv2d"] == 1
    assert kinds(found)["add"] == 0
    torch.testing.assert_close(outputs(found, IMAGES), outputs(model, IMAGES))


def test_a_constant_moves_into_the_bias() -> None:
    """gamma 0 and beta 0.5: the last convolution reads 0.5 everywhere, and gives 0.5 times the sums of its weights."""
    model = Block(scale=0, shift=0.5, kernel=1).eval()
    found = for_inference(model, IMAGES)
    last = found.get_submodule("last")
    assert isinstance(last, nn.Conv2d)
    assert not last.weight.any()
    torch.testing.assert_close(last.bias, 0.5 * model.last.weight.sum((1, 2, 3)))
    torch.testing.assert_close(outputs(found, IMAGES), outputs(model, IMAGES))


def test_a_constant_that_meets_a_border_stays() -> None:
    model = Block(scale=0, shift=0.5, kernel=3).eval()
    found = for_inference(model, IMAGES)
    assert widths(found) == [4, 5, 4]
    torch.testing.assert_close(outputs(found, IMAGES), outputs(model, IMAGES))


def test_channels_of_the_stream_that_no_selection_names_are_gone() -> None:
    """The last stage's stream is read by the last selection alone: what that leaves out need not be computed."""
    model = pruned("resnet", percent=0.6, depth=11)
    found, selection = for_inference(model, IMAGES, Form(selection="gather")), model.get_submodule("select")
    assert isinstance(selection, ChannelSelection)
    assert selection.selected < selection.channels
    for name in ("layer3_0_conv3", "layer3_0_downsample_0"):
        layer = found.get_submodule(name)
        assert isinstance(layer, nn.Conv2d)
        assert layer.out_channels == selection.selected
    assert "select_index" not in dict(found.named_buffers())  # it selects all that is left
    torch.testing.assert_close(outputs(found, IMAGES), outputs(model, IMAGES), rtol=1e-5, atol=1e-5)


def test_a_norm_with_an_activation_inside_is_folded() -> None:
    class NormAct(nn.BatchNorm2d):
        def __init__(self, channels: int) -> None:
            super().__init__(channels)
            self.act = nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            return self.act(super().forward(x))

    model = nn.Sequential(nn.Conv2d(3, 4, 3), NormAct(4), nn.Conv2d(4, 2, 1), nn.Flatten())
    randomised(model)
    found = for_inference(model, IMAGES)
    assert kinds(found)["BatchNorm2d"] == 0
    torch.testing.assert_close(outputs(found, IMAGES), outputs(model, IMAGES))


def test_a_layer_that_is_used_twice_is_folded_apart() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.first, self.second = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.BatchNorm2d(3)

        def forward(self, x: Tensor) -> Tensor:
            return self.second(self.conv(self.first(self.conv(x)))).flatten(1)

    model = randomised(Twice())
    found = for_inference(model, IMAGES)
    assert kinds(found)["BatchNorm2d"] == 0
    torch.testing.assert_close(outputs(found, IMAGES), outputs(model, IMAGES))


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (Form(selection="zero"), "unknown selection 'zero'; did you mean zeros? (known: gather, zeros)"),
        (Form(layout="nhcw"), "unknown layout 'nhcw'; did you mean"),
    ],
)
def test_unknown_forms(form: Form, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        for_inference(nn.Sequential(nn.Conv2d(3, 4, 1)), IMAGES, form)
    assert str(caught.value).startswith(message)


def test_a_network_that_decides_on_values_has_no_graph() -> None:
    class Deciding(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(UntraceableError, match="Deciding has no fixed graph"):
        for_inference(Deciding(), IMAGES)


def test_sums_are_written_over_what_nothing_else_reads() -> None:
    class Sums(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            first = self.one(x)
            alone = first.relu() + self.two(x)
            return (first + alone) + self.two(alone).mean((2, 3), keepdim=True)

    found = for_inference(Sums(), IMAGES)
    written = [node for node in found.graph.nodes if node.target == "add_"]
    assert [str(node.args[0]) for node in written] == ["two"]
    network = Sums()
    torch.testing.assert_close(for_inference(network, IMAGES)(IMAGES), network(IMAGES))
    before = IMAGES.clone()
    resnet = NETWORKS["resnet18"]()
    torch.testing.assert_close(outputs(for_inference(resnet, IMAGES), IMAGES), outputs(resnet, IMAGES))
    assert torch.equal(IMAGES, before)


def test_layers_of_a_graph_are_its_own() -> None:
    network = for_inference(NETWORKS["resnet18"](), IMAGES)
    for node in network.graph.nodes:
        if node.op == "call_module":
            assert dict(network.named_children())[str(node.target)] is layer_of(node)


class PreActivation(nn.Module):
    """BatchNorm, ReLU and convolutions on a stream that is read again."""

    def __init__(self, padding: int = 0, groups: int = 1) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(4)
        self.one = nn.Conv2d(4, 4, 3, padding=padding, groups=groups)
        self.two = nn.Conv2d(4, 2, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([x, x[:, :1]], 1)
        read = torch.relu(self.bn(x))
        return self.one(read).sum((1, 2, 3)) + self.two(read).sum((1, 2, 3)) + x.sum((1, 2, 3))


def test_bounds_stand_for_batchnorm_and_relu() -> None:
    """Factors of both signs, none at all, and one too small for float32's range of quotients."""
    model = randomised(PreActivation())
    with torch.no_grad():
        model.bn.weight.copy_(torch.tensor([0.5, -0.7, 0.0, 1e-30]))
        model.bn.bias.copy_(torch.tensor([0.1, 0.2, 0.3, -0.4]))
    found = for_inference(model, IMAGES)
    assert kinds(found)["BatchNorm2d"] == 0
    assert [node.target for node in found.graph.nodes].count(torch.clamp) == 1
    low, high = found.bn_low.flatten(), found.bn_high.flatten()
    assert low.isinf().tolist() == [False, True, False, False]
    assert high.isinf().tolist() == [True, False, True, True]
    torch.testing.assert_close(outputs(found, IMAGES), outputs(model, IMAGES))


@pytest.mark.parametrize("given", [{"padding": 1}, {"groups": 2}])
def test_convolutions_that_see_a_border_or_groups_keep_their_batchnorm(given: dict[str, int]) -> None:
    model = randomised(PreActivation(**given))
    found = for_inference(model, IMAGES)
    assert kinds(found)["BatchNorm2d"] == 1
    torch.testing.assert_close(outputs(found, IMAGES), outputs(model, IMAGES))


class Conditioned(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
        self.condition, self.head = nn.Linear(5, 8), nn.Linear(8, 2)

    def forward(self, x: Tensor, condition: Tensor, mask: Tensor | None = None) -> Tensor:
        x = self.body(x) if mask is None else self.body(x * mask)
        return cast(Tensor, self.head(x.mean((2, 3)) + self.condition(condition)))


@pytest.mark.parametrize("by_name", [False, True])
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_several_inputs(layout: str, by_name: bool) -> None:
    model, x, condition = Conditioned().eval(), torch.randn(2, 3, 6, 6), torch.randn(2, 5)
    example = {"condition": condition, "x": x} if by_name else (x, condition)
    network = for_inference(model, example, Form(layout=layout))
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())
    many = {"x": torch.randn(5, 3, 6, 6), "condition": torch.randn(5, 5)}
    torch.testing.assert_close(network(**many), model(**many), rtol=1e-4, atol=1e-5)


def test_forms_print_shortly() -> None:
    assert str(Form(selection="gather", multiple=8, layout="nhwc")) == "gather/8/nhwc"
    assert str(Form(clamp=False)) == "zeros/1/nchw/norms"


def test_an_example_that_the_network_does_not_run_on() -> None:
    said = r"^Sequential does not run on an input of 8 x 8: .*; it runs on .*: give example\[None\]$"
    with pytest.raises(UsageError, match=said):
        for_inference(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), torch.zeros(3, 8, 8))
