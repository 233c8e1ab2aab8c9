"""Layers, normalisation, and weights that are computed."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

from constructs import WIDTH, Function, construct, conv_bn, function, middle


def sound() -> Tensor:
    return torch.randn(2, 4, 64, generator=torch.Generator().manual_seed(1))


def video() -> Tensor:
    return torch.randn(2, 3, 4, 8, 8, generator=torch.Generator().manual_seed(1))


@construct("convolution", sound)
def one_dimension() -> nn.Module:
    layers = [nn.Conv1d(4, 16, 5), nn.BatchNorm1d(16), nn.ReLU(), nn.Conv1d(16, 16, 5, stride=2), nn.BatchNorm1d(16)]
    return nn.Sequential(*layers, nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(16, 5))


@construct("convolution", video)
def three_dimensions() -> nn.Module:
    layers = [nn.Conv3d(3, 16, 3, padding=1), nn.BatchNorm3d(16), nn.ReLU(), nn.MaxPool3d((1, 2, 2))]
    layers += [nn.Conv3d(16, 16, 3, padding=1), nn.BatchNorm3d(16), nn.ReLU(), nn.AdaptiveAvgPool3d(1)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16, 5))


@construct("convolution", video)
class TemporalPooling(nn.Module):
    """Frames are images of a batch; their features are pooled over time."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.conv3d, self.bn3d = (
            conv_bn(3, 16),
            nn.Conv3d(16, 16, (3, 1, 1), padding=(1, 0, 0)),
            nn.BatchNorm3d(16),
        )
        self.fc = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        n, c, t, h, w = x.shape
        x = self.body(x.transpose(1, 2).reshape(n * t, c, h, w))
        x = x.view(n, t, *x.shape[1:]).transpose(1, 2)
        return self.fc(F.relu(self.bn3d(self.conv3d(x))).mean((3, 4)).amax(2))


@middle("convolution", 12)
def transposed() -> nn.Module:
    return nn.Sequential(nn.ConvTranspose2d(WIDTH, 12, 4, 2, 1), nn.BatchNorm2d(12), nn.ReLU())


@middle("convolution")
def transposed_grouped() -> nn.Module:
    return nn.Sequential(nn.ConvTranspose2d(WIDTH, 16, 4, 2, 1, groups=2), nn.BatchNorm2d(16), nn.ReLU())


@middle("convolution")
def transposed_depthwise() -> nn.Module:
    return nn.Sequential(nn.ConvTranspose2d(WIDTH, 16, 4, 2, 1, groups=16), nn.BatchNorm2d(16), nn.ReLU())


@middle("convolution")
def two_groups() -> nn.Module:
    return conv_bn(WIDTH, 16, groups=2)


@middle("convolution", 24)
def four_groups() -> nn.Module:
    return conv_bn(WIDTH, 24, groups=4)


@middle("convolution")
def eight_groups() -> nn.Module:
    return conv_bn(WIDTH, 16, groups=8)


@middle("convolution")
def dilated_depthwise_separable() -> nn.Module:
    return nn.Sequential(conv_bn(WIDTH, WIDTH, groups=WIDTH, dilation=2, padding=2), conv_bn(WIDTH, 16, 1))


@middle("convolution", 32)
def depthwise_multiplier() -> nn.Module:
    return conv_bn(WIDTH, 32, groups=WIDTH)


@middle("convolution")
def rows_and_columns() -> nn.Module:
    return nn.Sequential(
        conv_bn(WIDTH, 16, 1), nn.Conv2d(16, 16, (1, 3), padding=(0, 1)), nn.Conv2d(16, 16, (3, 1), padding=(1, 0))
    )


@middle("convolution")
def padding_by_name() -> nn.Module:
    return conv_bn(WIDTH, 16, padding="same", padding_mode="reflect")


@middle("normalisation")
def instance_norm() -> nn.Module:
    return nn.Sequential(conv_bn(WIDTH, 16), nn.Conv2d(16, 16, 3), nn.InstanceNorm2d(16, affine=True), nn.ReLU())


@middle("normalisation")
class InstanceNormByFunction(nn.Module):
    """With scales of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.scale, self.shift = (
            nn.Conv2d(WIDTH, 16, 3),
            nn.Parameter(torch.rand(16)),
            nn.Parameter(torch.rand(16)),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(F.instance_norm(self.conv(x), weight=self.scale, bias=self.shift))


@middle("normalisation")
def instance_norm_with_statistics() -> nn.Module:
    return nn.Sequential(
        conv_bn(WIDTH, 16), nn.Conv2d(16, 16, 3), nn.InstanceNorm2d(16, affine=True, track_running_stats=True)
    )


@middle("normalisation")
def group_norm() -> nn.Module:
    return nn.Sequential(conv_bn(WIDTH, 16), nn.Conv2d(16, 16, 3), nn.GroupNorm(4, 16), nn.ReLU())


@middle("normalisation")
def group_norm_of_single_channels() -> nn.Module:
    return nn.Sequential(conv_bn(WIDTH, 16), nn.Conv2d(16, 16, 3), nn.GroupNorm(16, 16), nn.ReLU())


@middle("normalisation")
class LayerNormLast(nn.Module):
    """ConvNeXt: channels last, LayerNorm, linear layers, layer scale."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.wide, self.narrow = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 32), nn.Linear(32, WIDTH)
        self.gamma = nn.Parameter(torch.rand(WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x.permute(0, 2, 3, 1))
        return x + (self.gamma * self.narrow(F.gelu(self.wide(y)))).permute(0, 3, 1, 2)


@middle("normalisation")
class LayerNorm2d(nn.Module):
    """ConvNeXt's own, by means over channels."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.weight, self.bias = (
            conv_bn(WIDTH, 16),
            nn.Parameter(torch.rand(WIDTH)),
            nn.Parameter(torch.rand(WIDTH)),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x - x.mean(1, keepdim=True)
        x = x / (x.pow(2).mean(1, keepdim=True) + 1e-6).sqrt()
        return self.body(self.weight[:, None, None] * x + self.bias[:, None, None])


@middle("normalisation")
class RootMeanSquare(nn.Module):
    """RMSNorm: a mean over channels."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.scale = conv_bn(WIDTH, 16), nn.Parameter(torch.rand(1, 16, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x)
        return x * x.square().mean(1, keepdim=True).add(1e-6).rsqrt() * self.scale


@middle("normalisation")
class UnitLength(nn.Module):
    """A sum of squares over channels, where a zero does no harm."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.scale = conv_bn(WIDTH, 16), nn.Parameter(torch.rand(1, 16, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x)
        return x * torch.rsqrt(x.square().sum(1, keepdim=True) + 1e-6) * self.scale


class StandardisedConv(nn.Conv2d):
    """Weight standardisation."""

    def forward(self, x: Tensor) -> Tensor:
        mean, spread = self.weight.mean((1, 2, 3), keepdim=True), self.weight.std((1, 2, 3), keepdim=True)
        return F.conv2d(x, (self.weight - mean) / (spread + 1e-5), self.bias, padding=1)


@middle("computed weights")
def weight_standardisation() -> nn.Module:
    return nn.Sequential(StandardisedConv(WIDTH, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), conv_bn(16, 16))


@middle("computed weights")
def weight_norm() -> nn.Module:
    return nn.Sequential(parametrizations.weight_norm(nn.Conv2d(WIDTH, 16, 3)), nn.BatchNorm2d(16), nn.ReLU())


@middle("computed weights")
def spectral_norm() -> nn.Module:
    return nn.Sequential(parametrizations.spectral_norm(nn.Conv2d(WIDTH, 16, 3)), nn.BatchNorm2d(16), nn.ReLU())


@middle("computed weights")
def masks_of_torch_prune() -> nn.Module:
    conv = nn.Conv2d(WIDTH, 16, 3)
    prune.l1_unstructured(conv, "weight", 0.3)
    return nn.Sequential(conv, nn.BatchNorm2d(16), nn.ReLU())


@middle("computed weights")
class EqualisedRate(nn.Module):
    """Weights times a constant of their fan-in, as in StyleGAN."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bn = nn.Parameter(torch.randn(16, WIDTH, 3, 3)), nn.BatchNorm2d(16)
        self.gain = 1 / (WIDTH * 9) ** 0.5

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(F.conv2d(x, self.weight * self.gain, padding=1)))


@middle("computed weights")
class EqualisedRateOfTheShape(nn.Module):
    """The constant is worked out from the weight's shape at every call."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.bn = nn.Parameter(torch.randn(16, WIDTH, 3, 3)), nn.BatchNorm2d(16)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(F.conv2d(x, self.weight * self.weight[0].numel() ** -0.5, padding=1)))


@middle("computed weights")
class Kernels(nn.Module):
    """Functions with parameters of their own, in a ParameterList."""

    def __init__(self) -> None:
        super().__init__()
        self.kernels = nn.ParameterList(
            [nn.Parameter(torch.randn(16, WIDTH, 3, 3)), nn.Parameter(torch.randn(16, 16, 1, 1))]
        )
        self.norms = nn.ModuleDict({"first": nn.BatchNorm2d(16), "second": nn.BatchNorm2d(16)})

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norms["first"](F.conv2d(x, self.kernels[0], padding=1)))
        return F.relu(self.norms["second"](F.conv2d(x, self.kernels[1])))


@middle("computed weights")
class MixtureOfKernels(nn.Module):
    """CondConv: kernels weighted by a softmax that the image decides."""

    def __init__(self) -> None:
        super().__init__()
        self.route, self.kernels, self.bn = (
            nn.Linear(WIDTH, 3),
            nn.Parameter(torch.randn(3, 16, WIDTH, 3, 3)),
            nn.BatchNorm2d(16),
        )

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        share = self.route(x.mean((2, 3))).softmax(1)
        kernels = torch.einsum("nk,koihw->noihw", share, self.kernels).reshape(-1, c, 3, 3)
        y = F.conv2d(x.reshape(1, n * c, h, w), kernels, padding=1, groups=n)
        return F.relu(self.bn(y.view(n, -1, h, w)))


@middle("computed weights")
class MixtureOfBranches(nn.Module):
    """Architecture search: branches weighted by the softmax of a parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.branches, self.alpha = (
            nn.ModuleList([conv_bn(WIDTH, 16, k) for k in (1, 3, 5)]),
            nn.Parameter(torch.randn(3)),
        )

    def forward(self, x: Tensor) -> Tensor:
        return sum(share * branch(x) for share, branch in zip(self.alpha.softmax(0), self.branches, strict=True))


@middle("computed weights")
class BatchedProducts(nn.Module):
    """bmm of weights, one matrix per head."""

    def __init__(self) -> None:
        super().__init__()
        self.matrices, self.body = nn.Parameter(torch.randn(2, WIDTH, 8) / 4), conv_bn(16, 16)

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        rows = x.permute(0, 2, 3, 1).reshape(1, n * h * w, c).expand(2, -1, -1)
        return self.body(torch.bmm(rows, self.matrices).permute(1, 0, 2).reshape(n, h, w, 16).permute(0, 3, 1, 2))


@middle("computed weights")
class TiedWeights(nn.Module):
    """A decoder whose weights are the encoder's, turned round."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn, self.out = nn.Conv2d(WIDTH, 24, 3), nn.BatchNorm2d(24), nn.BatchNorm2d(WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.out(F.conv_transpose2d(F.relu(self.bn(self.conv(x))), self.conv.weight)))


@middle("computed weights")
class UsedTwice(nn.Module):
    """One convolution and its BatchNorm, used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.body = conv_bn(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(self.body(x))


@middle("fixed filters")
class BlurOfARepeatedBuffer(nn.Module):
    """Antialiased pooling: one filter, repeated when it is made."""

    def __init__(self) -> None:
        super().__init__()
        line = torch.tensor([1.0, 2.0, 1.0])
        self.register_buffer("filt", (line[:, None] * line / 16)[None, None].repeat(WIDTH, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), self.filt, stride=2, groups=x.shape[1])


@middle("fixed filters")
class BlurRepeatedAtEveryCall(nn.Module):
    """One filter, repeated to as many channels as there are."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("filt", torch.tensor([[[[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]]]) / 16)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.filt.repeat(x.shape[1], 1, 1, 1), padding=1, groups=x.shape[1])


@middle("fixed filters")
class FiltersThatDiffer(nn.Module):
    """A fixed filter of its own for every channel, made in the call."""

    def forward(self, x: Tensor) -> Tensor:
        filters = torch.arange(x.shape[1] * 9.0).view(-1, 1, 3, 3) / 50
        return F.conv2d(x, filters, padding=1, groups=x.shape[1])


@middle("fixed filters")
class FiltersInABuffer(nn.Module):
    """The same, kept in a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("filters", torch.randn(WIDTH, 1, 3, 3))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.filters, padding=1, groups=WIDTH)


@middle("fixed filters", 4 * WIDTH)
class HaarWavelets(nn.Module):
    """Four bands per channel, by fixed filters."""

    def __init__(self) -> None:
        super().__init__()
        signs = torch.tensor([[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]]).view(4, 1, 2, 2) / 2
        self.register_buffer("bands", signs)

    def forward(self, x: Tensor) -> Tensor:
        c = x.shape[1]
        return F.conv2d(x, self.bands.repeat(c, 1, 1, 1), stride=2, groups=c)


def _exotic(x: Tensor) -> Tensor:
    return x * torch.tanh(F.softplus(x)) + x * F.relu6(x + 3) / 6 + 0.5 * x * (1 + torch.erf(x / 2**0.5))


function("activation", "activations_spelt_out", _exotic)
function("activation", "prelu_by_function", lambda x: F.prelu(x, torch.full((1,), 0.1)))
function("activation", "maxout", lambda x: x.view(x.shape[0], x.shape[1] // 2, 2, *x.shape[2:]).amax(2), 8)
function("activation", "maxout_of_halves", lambda x: torch.max(*x.chunk(2, 1)), 8)
function("activation", "gated_linear_unit", lambda x: F.glu(x, 1), 8)
function("activation", "concatenated_relu", lambda x: F.relu(torch.cat([x, -x], 1)), 32)


@middle("activation")
def prelu() -> nn.Module:
    return nn.Sequential(nn.Conv2d(WIDTH, 16, 3), nn.BatchNorm2d(16), nn.PReLU(16), conv_bn(16, 16))


@middle("activation")
class LearnedActivation(nn.Module):
    """ACON: parameters per channel inside of the function."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(*conv_bn(WIDTH, 16)[:2])
        self.p1, self.p2, self.beta = (nn.Parameter(torch.randn(1, 16, 1, 1)) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x)
        d = (self.p1 - self.p2) * x
        return d * torch.sigmoid(self.beta * d) + self.p2 * x


@middle("activation")
class ImplicitKnowledge(nn.Module):
    """YOLOR: a vector is added, another multiplied."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.added = conv_bn(WIDTH, 16), nn.Parameter(torch.randn(1, WIDTH, 1, 1))
        self.multiplied = nn.Parameter(torch.randn(1, 16, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x + self.added) * self.multiplied


@middle("activation")
def in_place_read_again() -> nn.Module:
    class Pre(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.relu, self.body = nn.ReLU(inplace=True), conv_bn(WIDTH, WIDTH)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.body(self.relu(x))

    return nn.Sequential(nn.Conv2d(WIDTH, WIDTH, 3), nn.BatchNorm2d(WIDTH), Pre())


@middle("activation")
def identities() -> nn.Module:
    layers: list[Any] = [
        nn.Identity(),
        nn.Dropout2d(0.1),
        nn.AlphaDropout(0.1),
        Function(lambda x: x.contiguous().clone()),
    ]
    return nn.Sequential(*layers, conv_bn(WIDTH, 16))
