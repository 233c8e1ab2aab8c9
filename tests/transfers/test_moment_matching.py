"""Scales brought to the source's: convolutions give what they give there in spread, and the stream keeps its mean."""

from collections.abc import Mapping

import pytest
import torch
import torch.nn.functional as F
from source_networks import SmallResNet
from torch import Tensor, nn

from netslim.core.protocols import PrunableModel
from netslim.models import create_model
from netslim.training.bn_statistics import recalibrate_
from netslim.transfers import transfer
from netslim.transfers.moment_matching import match_moments_
from netslim.transfers.strategy import Moments

IMAGES = torch.randn(24, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def seen(model: nn.Module, images: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """Per layer what comes in and what goes out, in eval mode."""
    found: dict[str, tuple[Tensor, Tensor]] = {}
    hooks = [
        module.register_forward_hook(
            lambda _, inputs, output, name=name: found.update({name: (inputs[0].clone(), output.clone())})
        )
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d)
    ]
    with torch.no_grad():
        model.eval()(images)
    for hook in hooks:
        hook.remove()
    return found


def spread(values: Tensor) -> Tensor:
    return values.std((0, 2, 3))


def calibrated(source: Mapping[str, Tensor], depth: int) -> PrunableModel:
    target = create_model("resnet", depth=depth, num_classes=4)
    model, _ = transfer(source, target, "select", [IMAGES])
    recalibrate_(model, [IMAGES])
    return model


@pytest.fixture(scope="module", params=[(16, 32, 64), (64, 64, 128)], ids=["as wide", "wider"])
def source(request: pytest.FixtureRequest) -> SmallResNet:
    return SmallResNet(blocks=2, planes=request.param)


@pytest.fixture(scope="module")
def deep(source: SmallResNet) -> PrunableModel:
    """Two blocks per stage spread over four: the second has three copies."""
    return calibrated(source.state_dict(), depth=38)


def chosen(state: Mapping[str, Tensor], stage: int, width: int) -> Tensor:
    """The channels whose summed |gamma| is largest, found independently."""
    names = (f"layer{stage}.{name}.weight" for name in ("0.downsample.1", "0.bn3", "1.bn3"))
    scores = torch.stack([state[name].abs() for name in names]).sum(0)
    return scores.topk(width).indices.sort().values


def test_every_convolution_that_writes_to_the_stream_has_the_sources_spread(
    source: SmallResNet, deep: PrunableModel
) -> None:
    state, found = source.state_dict(), seen(deep, IMAGES)
    expected = {"conv1": state["bn1.weight"]}
    for stage, (planes, inner) in enumerate(zip((16, 32, 64), source.planes, strict=True), 1):
        rows = chosen(state, stage, 4 * planes)
        expected[f"layer{stage}.0.downsample.0"] = state[f"layer{stage}.0.downsample.1.weight"][rows]
        expected[f"layer{stage}.0.conv3"] = state[f"layer{stage}.0.bn3.weight"][rows]
        independent = min(3, inner // planes)  # three copies, of which so many take other channels
        for block in (1, 2, 3):
            share = independent**0.5 / 3
            expected[f"layer{stage}.{block}.conv3"] = state[f"layer{stage}.1.bn3.weight"][rows] * share
    for name, scale in expected.items():
        torch.testing.assert_close(spread(found[name][1]), scale.abs(), rtol=1e-2, atol=1e-5, msg=name)


def test_identities_hand_the_stream_on_shifted(source: SmallResNet, deep: PrunableModel) -> None:
    found = seen(deep, IMAGES)
    identities = [name for name in found if name == "bn" or name.endswith(".bn1")]
    assert len(identities) == 13
    for name in identities:
        inputs, outputs = found[name]
        torch.testing.assert_close(spread(outputs), spread(inputs), rtol=1e-2, atol=1e-5, msg=name)
        assert (spread(outputs - inputs) < 1e-2 * spread(inputs)).all(), name


def test_the_shift_is_what_the_sources_norms_have_added(source: SmallResNet, deep: PrunableModel) -> None:
    """Means add up along the stream: the stem's beta; then the projection's and each block's, all copies together."""
    state, norms = source.state_dict(), dict(deep.named_parameters())
    torch.testing.assert_close(norms["layer1.0.bn1.bias"], state["bn1.bias"], rtol=1e-4, atol=1e-4)
    rows = chosen(state, 3, 256)
    first = state["layer3.0.downsample.1.bias"][rows] + state["layer3.0.bn3.bias"][rows]
    for name, copies in (("layer3.1.bn1", 0), ("layer3.2.bn1", 1), ("layer3.3.bn1", 2), ("bn", 3)):
        expected = first + state["layer3.1.bn3.bias"][rows] * copies / 3
        torch.testing.assert_close(norms[f"{name}.bias"], expected, rtol=1e-4, atol=1e-4, msg=name)


def test_kernels_change_in_size_only(source: SmallResNet) -> None:
    """Filters whose BatchNorm has a negative scale must not be turned round."""
    target = create_model("resnet", depth=20, num_classes=4)
    before, after = (transfer(source.state_dict(), target, "select", batches)[0] for batches in (None, [IMAGES]))
    found = after.state_dict()
    for key, kernel in before.state_dict().items():
        if kernel.dim() == 4:
            ours, theirs = kernel.flatten(1), found[key].flatten(1)
            torch.testing.assert_close(F.cosine_similarity(ours, theirs), torch.ones(len(ours)), msg=key)


def test_without_images_the_spread_is_another(source: SmallResNet) -> None:
    """So that the tests above can fail: the estimate from the source's statistics is no measurement."""
    target = create_model("resnet", depth=38, num_classes=4)
    model, _ = transfer(source.state_dict(), target, "select")
    recalibrate_(model, [IMAGES])
    found = spread(seen(model, IMAGES)["conv1"][1])
    assert ((found / source.bn1.weight.abs() - 1).abs() > 0.05).any()


class Row(nn.Module):
    """Two convolutions, and a BatchNorm behind each."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 3, 1, bias=False)
        self.inner = nn.BatchNorm2d(3)
        self.second = nn.Conv2d(3, 2, 1, bias=False)
        self.stream = nn.BatchNorm2d(2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.stream(self.second(self.inner(self.first(x))))
        return out


WANTED = {
    "first": Moments(mean=torch.tensor([1.0, 2.0, 3.0]), std=torch.tensor([0.5, 0.0, 2.0])),
    "second": Moments(mean=torch.tensor([7.0, -7.0]), std=torch.tensor([3.0, 0.1])),
}
POINTS = torch.randn(40, 2, 3, 3, generator=torch.Generator().manual_seed(3)) * torch.tensor([5.0, 0.2])[:, None, None]


def test_closed_form() -> None:
    torch.manual_seed(0)
    model = Row()
    match_moments_(model, WANTED, ["stream"], [POINTS])
    outputs = model.first(POINTS)
    torch.testing.assert_close(spread(outputs), WANTED["first"].std, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(model.stream.weight, WANTED["second"].std, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(model.stream.bias, WANTED["second"].mean, rtol=1e-4, atol=1e-4)


def test_scales_are_the_average_over_batches() -> None:
    """Batches of variance v and 4 v have the mean variance 2.5 v."""
    torch.manual_seed(0)
    model, plain = Row(), Row()
    model.load_state_dict(plain.state_dict())
    match_moments_(model, {"first": WANTED["first"]}, [], [POINTS, 2 * POINTS])
    var = plain.first(POINTS).var((0, 2, 3))
    expected = plain.first.weight * (WANTED["first"].std / (2.5 * var).sqrt())[:, None, None, None]
    torch.testing.assert_close(model.first.weight, expected)


def test_a_silent_channel_stays_silent_and_finite() -> None:
    model = Row()
    nn.init.zeros_(model.second.weight)
    match_moments_(model, WANTED, ["stream"], [POINTS])
    assert not model.second.weight.any()
    assert all(parameter.isfinite().all() for parameter in model.parameters())
    torch.testing.assert_close(model.stream.bias, WANTED["second"].mean)


def test_mode_and_hooks_are_as_before_even_after_an_error() -> None:
    model = Row().eval()
    with pytest.raises(RuntimeError, match="expected input"):
        match_moments_(model, WANTED, ["stream"], [POINTS, POINTS[:, :1]])
    assert not any(module.training for module in model.modules())
    assert not any(module._forward_hooks for module in model.modules())
    match_moments_(model.train(), WANTED, ["stream"], [POINTS])
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())


def test_what_is_not_named_keeps_its_weights() -> None:
    model = Row()
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    match_moments_(model, {"first": WANTED["first"]}, [], iter([POINTS]))
    changed = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    assert changed == {"first.weight"}
