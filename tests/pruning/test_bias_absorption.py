"""Constants of removed channels move into what follows: by hand, on every family, and what cannot is listed."""

import copy
import dataclasses
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netslim.core.errors import NetslimWarning, UsageError
from netslim.core.protocols import PrunePlan
from netslim.models import create_model
from netslim.pruning import absorb_, apply, masked, plan, verify
from netslim.pruning.bias_absorption import Absorption, NotAbsorbed
from pruning.kinds import IMAGES, gap, lively, pruned, silence_gone_
from pruning.networks import EXAMPLE, Coupled, Flattened, randomised, resnet, same, state_of


class Chain(nn.Module):
    """conv, BatchNorm, ReLU, a convolution whose padding and bias are to choose, perhaps BatchNorm, mean."""

    def __init__(self, padding: int = 0, bias: bool = False, norm: bool = True) -> None:
        super().__init__()
        self.first, self.bn = nn.Conv2d(1, 2, 1, bias=False), nn.BatchNorm2d(2)
        self.second = nn.Conv2d(2, 1, 3, padding=padding, bias=bias)
        self.last = nn.BatchNorm2d(1) if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.second(torch.relu(self.bn(self.first(x))))).mean((2, 3))


def chain(kind: type[Chain] = Chain, **given: bool | int) -> tuple[Chain, PrunePlan]:
    """Channel 0, of shift 3, goes; the second convolution reads it with weights 1 to 9."""
    model = kind(**given).eval()
    with torch.no_grad():
        model.bn.weight.copy_(torch.tensor([0.0, 1.0]))
        model.bn.bias.copy_(torch.tensor([3.0, 0.5]))
        model.second.weight[0, 0] = torch.arange(1.0, 10.0).view(3, 3)
        if isinstance(model.last, nn.BatchNorm2d):
            assert model.last.running_mean is not None
            model.last.running_mean.fill_(0.25)
    decided = plan(model, torch.zeros(1, 1, 6, 6), percent=0.4, only=["bn"])
    assert decided.groups[0].keep == (1,)
    return model, decided


def test_the_mean_of_the_next_batchnorm_takes_the_constant_off() -> None:
    model, decided = chain()
    small = apply(model, decided)
    found = absorb_(small, model, torch.zeros(1, 1, 6, 6))
    assert isinstance(small.last, nn.BatchNorm2d)
    torch.testing.assert_close(small.last.running_mean, torch.tensor([0.25 - 3 * 45]))
    (layer,) = found.layers
    assert (layer.name, layer.constant) == ("last", pytest.approx(135, rel=1e-6))
    assert layer.border < 1e-4
    assert found.left == ()
    assert found.before == pytest.approx(135 / (1 + 1e-5) ** 0.5, rel=1e-5)
    assert found.after < 1e-4


class Alone(Chain):
    """Of one image without a batch."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward((x - torch.zeros(1, 1, 1))[None].reshape(1, 1, 6, 6))


def test_a_network_of_one_image_absorbs_at_one() -> None:
    model = Alone().eval()
    with torch.no_grad():
        model.bn.weight[0], model.bn.bias[0] = 0.0, 3.0
    example = torch.zeros(1, 6, 6)
    small = apply(model, plan(model, example, percent=0.4, only=["bn"]))
    found = absorb_(small, model, example)
    assert [layer.name for layer in found.layers] == ["last"]
    assert found.after < 1e-4 < found.before


class Positive(Chain):
    def forward(self, x: Tensor) -> Tensor:
        y = self.last(self.second(torch.relu(self.bn(self.first(x))))) - 130
        return y[y > 0]


def test_a_network_that_decides_by_values_is_held_against_the_same_decisions() -> None:
    """Without its constant of 135 nothing would be positive."""
    model, decided = chain(Positive)
    small = apply(model, decided)
    found = absorb_(small, model, torch.zeros(1, 1, 6, 6))
    assert isinstance(small.last, nn.BatchNorm2d)
    torch.testing.assert_close(small.last.running_mean, torch.tensor([0.25 - 3 * 45]))
    assert found.before == pytest.approx(135 / (1 + 1e-5) ** 0.5, rel=1e-5)
    assert found.after < 1e-4


class ByName(Chain):
    def forward(self, x: Tensor) -> Tensor:
        return self.last(input=self.second(torch.relu(self.bn(input=self.first(x))))).mean((2, 3))


def test_a_batchnorm_may_be_called_with_its_arguments_name() -> None:
    model, decided = chain(ByName)
    small = apply(model, decided)
    assert [layer.name for layer in absorb_(small, model, torch.zeros(1, 1, 6, 6)).layers] == ["last"]


def test_the_next_bias_takes_the_constant_on() -> None:
    model, decided = chain(bias=True)
    small = apply(model, decided)
    found = absorb_(small, model, torch.zeros(1, 1, 6, 6))
    torch.testing.assert_close(small.second.bias, model.second.bias + 135)
    assert [layer.name for layer in found.layers] == ["second"]


def test_no_bias_is_created_and_what_nothing_takes_in_is_said() -> None:
    model, decided = chain(norm=False)
    small = apply(model, decided)
    before = state_of(small)
    found = absorb_(small, model, torch.zeros(1, 1, 6, 6))
    assert same(small.state_dict(), before)
    assert found.layers == ()
    assert found.before == found.after == pytest.approx(135, rel=1e-5)


def test_zero_padding_keeps_the_constant_of_the_interior_and_states_the_border() -> None:
    model, decided = chain(padding=1)
    small = apply(model, decided)
    found = absorb_(small, model, torch.zeros(1, 1, 8, 8))
    (layer,) = found.layers
    assert layer.constant == pytest.approx(135, rel=1e-6)
    # the corner at the top left reads weights 5, 6, 8 and 9 only, that at the bottom right 1, 2, 4 and 5
    assert layer.border == pytest.approx(135 - 3 * (1 + 2 + 4 + 5), rel=1e-5)
    assert found.border == layer.border
    assert found.after < found.before / 3


def test_a_negative_shift_is_cut_off_by_the_activation() -> None:
    model, decided = chain()
    with torch.no_grad():
        model.bn.bias[0] = -3
    small = apply(model, decided)
    before = state_of(small)
    found = absorb_(small, model, torch.zeros(1, 1, 6, 6))
    assert same(small.state_dict(), before)
    assert found.layers == ()


def test_nothing_removed_changes_nothing() -> None:
    model = resnet()
    small = apply(model, plan(model, EXAMPLE, percent=0))
    assert absorb_(small, model, EXAMPLE).layers == ()
    assert same(small.state_dict(), model.state_dict())


@pytest.mark.parametrize("residual", ["select", "couple"])
def test_a_stream_of_1x1_convolutions_is_exact(residual: str) -> None:
    """Without padding (one pixel in the last stages) the whole residual network is the reference's."""
    model = resnet(20).double()
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3):
            module.padding_mode = "circular"
    example = torch.zeros(1, 1, 8, 8, dtype=torch.float64)
    small = apply(model, plan(model, example, percent=0.5, residual=residual))
    reference = masked(model, small.plan, shift=True)
    found = absorb_(small, model, example)
    assert found.before > 0.1
    assert found.after < 1e-12
    images = torch.randn(3, 1, 8, 8, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(small(images), reference(images), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("resnet", {"depth": 11}),
        ("vgg", {"depth": 11, "cfg": [6, "M", 8, "M", 12, 9, "M", 16, 10, "M", 12, 20]}),
        ("densenet", {"depth": 10}),
        ("torchvision/resnet18", {"stem": "cifar"}),
    ],
)
def test_every_family_comes_nearer(name: str, arguments: dict[str, object]) -> None:
    torch.manual_seed(0)
    model = randomised(create_model(name, num_classes=3, in_channels=1, **arguments))
    example = torch.zeros(1, 1, 16, 16)
    small = apply(model, plan(model, example, percent=0.5))
    keys = list(small.state_dict())
    found = absorb_(small, model, example)
    assert found.left == ()
    assert found.after < 0.75 * found.before  # borders are all there is in the last, smallest stages
    assert list(small.state_dict()) == keys
    assert not verify(model, small, torch.randn(2, 1, 16, 16)).holds  # it is no longer the masked network


@pytest.mark.parametrize(("model", "side"), [(Flattened(), 4), (Coupled(), 6)])
def test_networks_without_padding_after_the_shift_are_exact(model: nn.Module, side: int) -> None:
    torch.manual_seed(0)
    model = randomised(copy.deepcopy(model))
    example = torch.zeros(1, 1, side, side)
    small = apply(model, plan(model, example, percent=0.5))
    found = absorb_(small, model, example)
    assert found.before > 1e-2
    assert found.after < 1e-5


class Twice(nn.Module):
    """One BatchNorm that is used on two tensors, only the first of which loses a constant; one that is never used."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.bn = nn.Conv2d(1, 4, 1, bias=False), nn.BatchNorm2d(4)
        self.narrow, self.other = nn.Conv2d(4, 3, 1, bias=False), nn.Conv2d(1, 3, 1, bias=False)
        self.shared, self.unused = nn.BatchNorm2d(3), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        return (self.shared(self.narrow(torch.relu(self.bn(self.first(x))))) + self.shared(self.other(x))).mean((2, 3))


def test_a_layer_that_would_need_two_constants_is_left_and_listed() -> None:
    torch.manual_seed(0)
    model = Twice().eval()
    nn.init.constant_(model.bn.bias, 1)
    example = torch.zeros(1, 1, 4, 4)
    small = apply(model, plan(model, example, percent=0.3, only=["bn"]))
    before = state_of(small)
    found = absorb_(small, model, example)
    assert same(small.state_dict(), before)
    assert [(part.name, part.channels) for part in found.left] == [("shared", 3)]
    assert found.left[0].reason == "differ between images, or between calls"


class Gated(nn.Module):
    """Every channel is multiplied by what the network makes of the image."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.bn, self.gate = nn.Conv2d(1, 4, 1), nn.BatchNorm2d(4), nn.Linear(1, 1)
        self.second, self.last = nn.Conv2d(4, 3, 1, bias=False), nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        gate = torch.sigmoid(self.gate(x.mean((2, 3))))[:, :, None, None]
        return self.last(self.second(torch.relu(self.bn(self.first(x))) * gate)).mean((2, 3))


def test_what_depends_on_the_image_is_left_and_listed() -> None:
    torch.manual_seed(0)
    model = Gated().eval()
    nn.init.constant_(model.bn.bias, 1)
    nn.init.constant_(model.gate.weight, 5)
    example = torch.zeros(1, 1, 4, 4)
    small = apply(model, plan(model, example, percent=0.3, only=["bn"]))
    before = state_of(small)
    found = absorb_(small, model, example)
    assert same(small.state_dict(), before)
    assert [(part.name, part.channels) for part in found.left] == [("last", 3)]


def test_pruned_twice_absorbs_twice() -> None:
    model = resnet(seed=3)
    once = apply(model, plan(model, EXAMPLE, percent=0.3))
    absorb_(once, model, EXAMPLE)
    twice = apply(once, plan(once, EXAMPLE, percent=0.3))
    assert verify(once, twice, torch.randn(2, 1, 8, 8)).holds
    found = absorb_(twice, once, EXAMPLE)
    assert found.after < found.before


def test_modes_hooks_and_the_full_network_are_left_as_they_were() -> None:
    model = resnet().train()
    before = state_of(model)
    small = apply(model, plan(model, EXAMPLE, percent=0.5)).train()
    small.layer1.eval()
    modes = [module.training for module in small.modules()]
    absorb_(small, model, EXAMPLE)
    assert [module.training for module in small.modules()] == modes
    assert same(model.state_dict(), before)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in [*small.modules(), *model.modules()])


def test_refusals() -> None:
    model = resnet()
    with pytest.raises(UsageError) as caught:
        absorb_(model, model, EXAMPLE)
    assert (
        str(caught.value)
        == "this network was not pruned, so that there is nothing to absorb; give what apply() returned"
    )
    small = apply(model, plan(model, EXAMPLE, percent=0.5))
    with pytest.raises(UsageError, match=r"^the plan is for another network: "):
        absorb_(small, resnet(20), EXAMPLE)


def test_the_report_is_frozen() -> None:
    model, decided = chain()
    found = absorb_(apply(model, decided), model, torch.zeros(1, 1, 6, 6))
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.after = 0  # type: ignore[misc]


class Behind(nn.Module):
    """A convolution, its BatchNorm, what a test puts behind, and a 1x1 convolution."""

    def __init__(self, part: Callable[["Behind", Tensor], Tensor], *, bias: bool = True, norm: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)  # with other weights the channels that go may give nothing
        self.conv, self.bn = nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16)
        self.added, self.scale = nn.Parameter(torch.randn(1, 16, 1, 1)), nn.Parameter(torch.rand(16, 1, 1))
        self.prelu, self.depthwise = nn.PReLU(16), nn.Conv2d(16, 16, 3, groups=16)
        self.filters, self.blur = nn.Parameter(torch.rand(16, 1, 3, 3)), nn.Buffer(torch.rand(16, 1, 3, 3))
        nn.init.uniform_(self.prelu.weight, -1, 1)
        self.out = nn.Conv2d(16, 4, 1, bias=bias)
        self.norm = nn.BatchNorm2d(4) if norm else nn.Identity()
        self.part = part

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.out(self.part(self, self.bn(self.conv(x)))))


CONSTANTS: dict[str, Callable[[Behind, Tensor], Tensor]] = {
    "added": lambda s, y: F.relu(y) + s.added,
    "taken off": lambda s, y: F.relu(y) - s.added,
    "added before": lambda s, y: F.relu(y + s.added),
    "added twice": lambda s, y: F.relu(F.relu(y + s.added) + s.added),
    "multiplied and added": lambda s, y: F.relu(y) * s.added + s.added,
    "layer scale": lambda s, y: F.relu(y) * s.scale,
    "prelu": lambda s, y: s.prelu(y),
    "silu": lambda s, y: F.silu(y),
    "sigmoid": lambda s, y: F.relu(y) * torch.sigmoid(y),
    "hardswish": lambda s, y: F.hardswish(y),
    "elu": lambda s, y: F.elu(y),
    "depthwise": lambda s, y: F.relu(s.depthwise(F.relu(y))),
    "filters of its own": lambda s, y: F.conv2d(F.relu(y), s.filters, groups=y.shape[1]),
    "fixed filters": lambda s, y: F.conv2d(F.relu(y), s.blur, groups=y.shape[1]),
    "pooled": lambda s, y: F.max_pool2d(F.relu(y) + s.added, 2),
}


def absorbed_exactly(model: nn.Module, small: nn.Module, example: Tensor) -> Absorption:
    """Absorbs what the channels that are gone gave, which was something and must be nothing after it."""
    assert silence_gone_(model, small, shift=True) > 0
    before = gap(model, small, example)
    found = absorb_(small, model, example)
    assert before > 1e-3
    assert gap(model, small, example) < 1e-5
    assert found.left == ()
    return found


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("name", CONSTANTS)
def test_every_constant_of_a_channel_is_exact(name: str, norm: bool) -> None:
    model = lively(Behind(CONSTANTS[name], norm=norm))
    found = absorbed_exactly(model, pruned(model), IMAGES)
    assert [layer.name for layer in found.layers] == ["out"]


@pytest.mark.parametrize("name", CONSTANTS)
def test_outputs_that_no_layer_could_correct_are_listed(name: str) -> None:
    model = lively(Behind(CONSTANTS[name], bias=False))
    small = pruned(model)
    found = absorb_(small, model, IMAGES)
    assert found.layers == ()
    assert found.left == (NotAbsorbed(name="output", channels=4, reason="have no BatchNorm or bias before them"),)


def test_a_norm_over_channels_is_listed() -> None:
    model = lively(Behind(lambda s, y: F.normalize(F.relu(y), dim=1)))
    found = absorb_(pruned(model), model, IMAGES)
    assert found.left == (NotAbsorbed(name="out", channels=4, reason="differ between images, or between calls"),)


PLACED: dict[str, tuple[int, ...]] = {"positions": (1, 16, 10, 10), "images": (2, 16, 1, 1), "rows": (16, 10, 1)}


@pytest.mark.parametrize("name", PLACED)
def test_constants_that_differ_by_place_are_listed(name: str) -> None:
    """What a channel adds as a parameter of several dimensions is no filter of it, and no single constant."""
    model = Behind(lambda s, y: F.relu(y) + s.added)
    model.added = nn.Parameter(torch.randn(PLACED[name]))
    model = lively(model)
    small = pruned(model)
    assert silence_gone_(model, small, shift=True) > 0
    found = absorb_(small, model, IMAGES)
    assert gap(model, small, IMAGES) > 1e-2
    assert found.after > 1e-2
    reasons = {"images": "differ between images, or between calls"}
    assert found.left == (
        NotAbsorbed(name="out", channels=4, reason=reasons.get(name, "differ from position to position")),
    )


@pytest.mark.parametrize("name", ["mean", "bias"])
def test_constants_that_were_absorbed_already_or_measured_are_warned_of(name: str) -> None:
    model = resnet()
    small = apply(model, plan(model, EXAMPLE, percent=0.5))
    changed = small.fc.bias if name == "bias" else small.layer1[0].bn2.running_mean
    changed.data += 0.1
    with pytest.warns(
        NetslimWarning, match=r" is not what apply\(\) leaves of it: constants are absorbed once, right after"
    ):
        absorb_(small, model, EXAMPLE)


def test_absorbing_once_warns_of_nothing(recwarn: pytest.WarningsRecorder) -> None:
    model = resnet()
    absorb_(apply(model, plan(model, EXAMPLE, percent=0.5)), model, EXAMPLE)
    assert not [each for each in recwarn if issubclass(each.category, NetslimWarning)]


class OneImage(Behind):
    """Takes an image without a batch, or batches of three only."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__(lambda s, y: F.relu(y) + s.added)
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.view(self.shape))


@pytest.mark.parametrize(("given", "inside"), [((3, 16, 16), (1, 3, 16, 16)), ((3, 3, 16, 16), (3, 3, 16, 16))])
def test_an_example_without_a_batch_or_of_a_fixed_one(given: tuple[int, ...], inside: tuple[int, ...]) -> None:
    model, example = lively(OneImage(inside)), torch.randn(given)
    absorbed_exactly(model, apply(model, plan(model, example, percent=0.3)), example)


class Made(nn.Module):
    """A linear layer that works on a vector makes a factor, as in networks that make weights for others."""

    def __init__(self) -> None:
        super().__init__()
        self.code = nn.Parameter(torch.ones(3))
        self.first, self.bn, self.second = nn.Conv2d(1, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 3, 1)
        self.scale = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.second(torch.relu(self.bn(self.first(x)))) * self.scale(self.code)


class Called(nn.Module):
    """A layer is called with numbers made of its own, among them its bias."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.bn, self.second = nn.Conv2d(1, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        own = {name: 2 * value for name, value in self.second.named_parameters()}
        return torch.func.functional_call(self.second, own, (torch.relu(self.bn(self.first(x))),))


def test_a_layer_may_work_on_a_vector() -> None:
    model = lively(Made())
    nn.init.constant_(model.bn.bias, 1)
    small = pruned(model, torch.zeros(2, 1, 4, 4), criterion="l2_norm")
    assert small.scale[0].out_features < 5
    found = absorb_(small, model, torch.zeros(2, 1, 4, 4))
    assert found.left == ()
    assert found.after < 1e-5 < found.before


def test_a_bias_that_is_made_for_a_call_takes_nothing_in() -> None:
    model = lively(Called())
    nn.init.constant_(model.bn.bias, 1)
    small = pruned(model, torch.zeros(2, 1, 4, 4))
    found = absorb_(small, model, torch.zeros(2, 1, 4, 4))
    assert found.layers == ()
    assert [part.name for part in found.left] == ["output"]


class Shown(nn.Conv2d):
    """More than a convolution: what it gives is not what its bias adds to."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).relu() * 2


class Glu(nn.Conv2d):
    """Gives half as many channels as it has biases."""

    def __init__(self, inputs: int, outputs: int, side: int) -> None:
        super().__init__(inputs, 2 * outputs, side)

    def forward(self, x: Tensor) -> Tensor:
        return F.glu(super().forward(x), 1)


class LastNorm(nn.BatchNorm1d):
    """Its channels come last."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


class OwnCode(nn.Module):
    """Layers that are more than torch's own between those that take constants in."""

    def __init__(self, kind: type[nn.Conv2d]) -> None:
        super().__init__()
        self.first, self.norm, self.own = nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8), kind(8, 6, 1)
        self.second, self.last, self.fc = nn.Linear(6, 8), LastNorm(8), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.own(self.norm(self.first(x))).flatten(2).transpose(1, 2)
        return self.fc(self.last(self.second(x)).relu().mean(1))


@pytest.mark.parametrize("kind", [Shown, Glu], ids=lambda kind: kind.__name__)
def test_layers_with_code_of_their_own_take_nothing_in(kind: type[nn.Conv2d]) -> None:
    torch.manual_seed(0)
    model = lively(OwnCode(kind))
    images = torch.randn(2, 3, 4, 4)
    small = apply(model, plan(model, images, percent=0.4, criterion="l2_norm"))
    found = absorb_(small, model, images)
    assert {layer.name for layer in found.layers} <= {"second", "fc"}
    assert found.after <= found.before
    assert found.left
