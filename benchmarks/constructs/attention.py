"""Attention over channels, places and frames."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from constructs import WIDTH, conv_bn, function, middle


@middle("attention")
class SqueezeExcitation(nn.Module):
    """By linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.squeeze, self.excite = conv_bn(WIDTH, 16), nn.Linear(16, 4), nn.Linear(4, 16)

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x)
        n, c, _, _ = x.size()
        gate = torch.sigmoid(self.excite(F.relu(self.squeeze(F.adaptive_avg_pool2d(x, 1).view(n, c)))))
        return x * gate.view(n, c, 1, 1).expand_as(x)


@middle("attention")
class Cbam(nn.Module):
    """Channels first, then places by the mean and maximum over channels."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.places = conv_bn(WIDTH, 16), nn.Conv2d(2, 1, 7, padding=3)
        self.mlp = nn.Sequential(nn.Flatten(), nn.Linear(16, 4), nn.ReLU(), nn.Linear(4, 16))

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x)
        gate = self.mlp(F.avg_pool2d(x, x.shape[2:])) + self.mlp(F.max_pool2d(x, x.shape[2:]))
        x = x * gate.sigmoid()[:, :, None, None]
        return x * self.places(torch.cat([x.max(1, keepdim=True)[0], x.mean(1, keepdim=True)], 1)).sigmoid()


@middle("attention")
class Eca(nn.Module):
    """A convolution along the channels: all must stay."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.conv = conv_bn(WIDTH, 16), nn.Conv1d(1, 1, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x)
        y = F.adaptive_avg_pool2d(x, 1)
        y = self.conv(y.squeeze(-1).transpose(-1, -2)).transpose(-1, -2).unsqueeze(-1)
        return x * y.sigmoid().expand_as(x)


@middle("attention")
class SelectiveKernel(nn.Module):
    """Branches weighted channel by channel."""

    def __init__(self) -> None:
        super().__init__()
        self.small, self.large = conv_bn(WIDTH, 16), conv_bn(WIDTH, 16, dilation=2, padding=2)
        self.fc, self.gates = nn.Linear(16, 8), nn.ModuleList([nn.Linear(8, 16) for _ in range(2)])

    def forward(self, x: Tensor) -> Tensor:
        branches = torch.stack([self.small(x), self.large(x)], 1)
        z = F.relu(self.fc(branches.sum(1).mean((2, 3))))
        share = torch.stack([gate(z) for gate in self.gates], 1).softmax(1)
        return (branches * share[..., None, None]).sum(1)


@middle("attention")
class SplitAttention(nn.Module):
    """ResNeSt: the branches are slices of one convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.fc1, self.fc2 = conv_bn(WIDTH, 32, groups=2), nn.Conv2d(16, 8, 1), nn.Conv2d(8, 32, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x)
        n, c, h, w = x.shape
        x = x.view(n, 2, c // 2, h, w)
        gate = self.fc2(F.relu(self.fc1(x.sum(1).mean((2, 3), keepdim=True)))).view(n, 2, -1).softmax(1)
        return (x * gate.view(n, 2, -1, 1, 1)).sum(1)


@middle("attention")
class CoordinateAttention(nn.Module):
    """Pooled by rows and by columns, squeezed together, split again."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.squeeze = conv_bn(WIDTH, 16), conv_bn(16, 8, 1)
        self.rows, self.columns = nn.Conv2d(8, 16, 1), nn.Conv2d(8, 16, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x)
        _, _, h, w = x.size()
        by_row, by_column = F.adaptive_avg_pool2d(x, (h, 1)), F.adaptive_avg_pool2d(x, (1, w)).permute(0, 1, 3, 2)
        by_row, by_column = torch.split(self.squeeze(torch.cat([by_row, by_column], 2)), [h, w], 2)
        return x * self.rows(by_row).sigmoid() * self.columns(by_column.permute(0, 1, 3, 2)).sigmoid()


@middle("attention")
class NonLocal(nn.Module):
    """Products of places."""

    def __init__(self) -> None:
        super().__init__()
        self.theta, self.phi, self.g = (nn.Conv2d(WIDTH, 8, 1) for _ in range(3))
        self.out, self.bn = nn.Conv2d(8, WIDTH, 1), nn.BatchNorm2d(WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        n, _, h, w = x.shape
        theta, phi, g = (layer(x).flatten(2) for layer in (self.theta, self.phi, self.g))
        y = (theta.transpose(1, 2) @ phi).softmax(-1) @ g.transpose(1, 2)
        return x + self.bn(self.out(y.transpose(1, 2).reshape(n, -1, h, w)))


@middle("attention")
class HeadsAfterAStem(nn.Module):
    """A transformer's layer on the places of a convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.embed, self.norm = conv_bn(WIDTH, 24), nn.Conv2d(24, 16, 4, 4), nn.LayerNorm(16)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(self.body(x))
        y = self.norm(x.flatten(2).transpose(1, 2))
        return x + self.attention(y, y, y, need_weights=False)[0].transpose(1, 2).view(x.shape)


@middle("attention")
class HeadsOfConvolutions(nn.Module):
    """Queries, keys and values by one convolution with BatchNorm, scaled by the width of a head."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.project, self.heads = conv_bn(WIDTH, 48, 1), conv_bn(16, WIDTH, 1), 2

    def forward(self, x: Tensor) -> Tensor:
        n, _, h, w = x.shape
        q, k, v = self.qkv(x).view(n, self.heads, -1, h * w).chunk(3, 2)
        share = (q.transpose(-2, -1) @ k * q.shape[2] ** -0.5).softmax(-1)
        return x + self.project((v @ share.transpose(-2, -1)).reshape(n, -1, h, w))


@middle("attention")
class HeadsOfAFixedScale(nn.Module):
    """The same scaled by a constant, and by torch's own function."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = (conv_bn(WIDTH, 16, 1) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (layer(x).flatten(2).transpose(1, 2)[:, None] for layer in (self.q, self.k, self.v))
        y = F.scaled_dot_product_attention(q, k, v, scale=0.25)
        return x + y[:, 0].transpose(1, 2).reshape(x.shape)


@middle("attention")
class AttentionByEinsum(nn.Module):
    """Squeeze and products spelt with einsum."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.weight = conv_bn(WIDTH, 16), nn.Parameter(torch.randn(16, 16) / 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x)
        gate = torch.einsum("nc,oc->no", x.mean((2, 3)), self.weight).sigmoid()
        return torch.einsum("nchw,nc->nchw", x, gate)


@middle("attention")
class GlobalContext(nn.Module):
    """GCNet: a softmax over places, then a bottleneck with LayerNorm."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.mask = conv_bn(WIDTH, 16), nn.Conv2d(16, 1, 1)
        self.add = nn.Sequential(nn.Conv2d(16, 8, 1), nn.LayerNorm([8, 1, 1]), nn.ReLU(), nn.Conv2d(8, 16, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x)
        n, c, h, w = x.size()
        share = self.mask(x).view(n, 1, h * w).softmax(2).unsqueeze(-1)
        context = torch.matmul(x.view(n, c, h * w).unsqueeze(1), share)
        return x + self.add(context.view(n, c, 1, 1))


def _simam(x: Tensor) -> Tensor:
    n = x.shape[2] * x.shape[3] - 1
    d = (x - x.mean((2, 3), keepdim=True)).pow(2)
    return x * (d / (4 * (d.sum((2, 3), keepdim=True) / n + 1e-4)) + 0.5).sigmoid()


function("attention", "simam_without_parameters", _simam)
function("attention", "places_by_sum_of_squares", lambda x: x * x.pow(2).sum(1, keepdim=True).sigmoid())
function("attention", "places_by_mean", lambda x: x * x.mean(1, keepdim=True).sigmoid())
