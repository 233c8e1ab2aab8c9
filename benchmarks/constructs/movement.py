"""Data that moves: concatenation, splits, shuffles, windows, new tensors."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from constructs import SIDE, WIDTH, conv_bn, function, middle


@middle("shortcuts")
class Residual(nn.Module):
    """Addition."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(conv_bn(WIDTH, 16), nn.Conv2d(16, WIDTH, 3, padding=1), nn.BatchNorm2d(WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.body(x), inplace=True)


@middle("shortcuts", 40)
class Dense(nn.Module):
    """Concatenation of everything before."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([conv_bn(WIDTH + 8 * number, 8) for number in range(3)])

    def forward(self, x: Tensor) -> Tensor:
        parts = [x]
        for layer in self.layers:
            parts.append(layer(torch.cat(parts, 1)))
        return torch.cat(parts, dim=1)


@middle("shortcuts", 24)
class PaddedShortcut(nn.Module):
    """Option A: zeros for the channels that are new, every second pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.body = conv_bn(WIDTH, 24, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 4, 4), "constant", 0)


@middle("shortcuts", 24)
class ShortcutWithNewZeros(nn.Module):
    """Option A, with zeros that are concatenated."""

    def __init__(self) -> None:
        super().__init__()
        self.body = conv_bn(WIDTH, 24)

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        zeros = torch.zeros(x.size(0), y.size(1) - x.size(1), x.size(2), x.size(3), device=x.device)
        return y + torch.cat([x, zeros], 1)


@middle("shortcuts")
class ShortcutToTheFirstChannels(nn.Module):
    """PyramidNet and others: added to a part of the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.body = conv_bn(WIDTH, 8)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x[:, :8] + self.body(x), x[:, 8:]], 1)


@middle("splits")
class Csp(nn.Module):
    """C2f: split into two, a chain of blocks, all concatenated."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last, self.blocks = (
            conv_bn(WIDTH, 16, 1),
            conv_bn(32, WIDTH, 1),
            nn.ModuleList([conv_bn(8, 8) for _ in range(2)]),
        )

    def forward(self, x: Tensor) -> Tensor:
        parts = list(self.first(x).chunk(2, 1))
        for block in self.blocks:
            parts.append(parts[-1] + block(parts[-1]))
        return self.last(torch.cat(parts, 1))


@middle("splits")
class SplitByNumbers(nn.Module):
    """Sizes that stand in the code."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.small, self.large = conv_bn(WIDTH, 16), conv_bn(4, 4), conv_bn(12, 12)

    def forward(self, x: Tensor) -> Tensor:
        small, large = torch.split(self.body(x), [4, 12], dim=1)
        return torch.cat([self.small(small), self.large(large)], 1)


@middle("splits")
class SplitByShape(nn.Module):
    """Sizes that are worked out; the parts are interleaved afterwards."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.branch = conv_bn(WIDTH, 16), conv_bn(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x)
        half = x.shape[1] // 2
        x = torch.cat([x[:, :half], self.branch(x[:, half:])], 1)
        n, c, h, w = x.shape
        return x.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, -1, h, w)


@middle("splits")
class SplitTables(nn.Module):
    """Res2Net: pieces of a width that is an attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.piece, self.convs = conv_bn(WIDTH, 16), 4, nn.ModuleList([conv_bn(4, 4) for _ in range(3)])

    def forward(self, x: Tensor) -> Tensor:
        pieces = torch.split(self.body(x), self.piece, 1)
        out, y = [pieces[0]], torch.zeros_like(pieces[1])
        for conv, piece in zip(self.convs, pieces[1:], strict=True):
            y = conv(piece + y)
            out.append(y)
        return torch.cat(out, 1)


def _shuffle_fixed(x: Tensor) -> Tensor:
    return x.view(-1, 4, 4, *x.shape[2:]).transpose(1, 2).reshape(-1, 16, *x.shape[2:])


function("splits", "shuffle_by_fixed_numbers", _shuffle_fixed)
function("splits", "torch_channel_shuffle", lambda x: F.channel_shuffle(x, 4))
function("splits", "unbind_of_channels", lambda x: torch.stack([part * 2 for part in x.unbind(1)], 1))
function("splits", "unbind_of_images", lambda x: torch.stack([part * 2 for part in x.unbind(0)]))
function(
    "splits",
    "unflattened_groups",
    lambda x: x.unflatten(1, (4, 4)).amax(2, keepdim=True).expand(-1, -1, 4, -1, -1).flatten(1, 2),
)
function("splits", "every_second_channel", lambda x: torch.cat([x[:, ::2], x[:, 1::2]], 1))
function("splits", "channels_turned_round", lambda x: x.flip(1))
function("splits", "channels_rolled", lambda x: x.roll(1, 1))
function("splits", "channels_repeated", lambda x: x.repeat(1, 2, 1, 1), 32)
function("splits", "channels_repeated_each", lambda x: x.repeat_interleave(2, 1), 32)
function("splits", "channels_by_a_list", lambda x: x[:, [0, 3, 5, 7, 9, 11, 13, 15]], 8)
function("splits", "channels_by_index_select", lambda x: x.index_select(1, torch.arange(0, 16, 2)), 8)
function("space", "pixel_shuffle", lambda x: F.pixel_shuffle(x, 2), 4)
function("space", "pixel_unshuffle", lambda x: F.pixel_unshuffle(x, 2), 64)
function(
    "space",
    "focus",
    lambda x: torch.cat([x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]], 1),
    64,
)
function("space", "flip_and_roll", lambda x: x.flip([2, 3]) + torch.roll(x, (1, 2), (2, 3)))
function("space", "index_select_in_space", lambda x: x.index_select(2, torch.arange(0, SIDE, 2)))
function("space", "windows", lambda x: x.unfold(2, 4, 4).unfold(3, 4, 4).mean((4, 5)))
function("space", "windows_as_rows", lambda x: F.unfold(x, 2, stride=2).view(x.shape[0], -1, SIDE // 2, SIDE // 2), 64)
function("space", "fold_back", lambda x: F.fold(F.unfold(x, 2, stride=2) * 2, (SIDE, SIDE), 2, stride=2))
function("space", "pools", lambda x: F.adaptive_max_pool2d(F.avg_pool2d(x, 2) + F.lp_pool2d(x, 2, 2), 5))
function(
    "space",
    "interpolated",
    lambda x: F.interpolate(x, scale_factor=2, mode="bilinear") + F.interpolate(x, size=2 * SIDE),
)
function("space", "unpooled", lambda x: F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2))
function(
    "space",
    "padded_in_many_ways",
    lambda x: F.pad(F.pad(F.pad(x, (1, 1, 1, 1), "circular"), (1,) * 4, "replicate"), (1,) * 4),
)
function("space", "gather_along_places", lambda x: x.flatten(2).gather(2, x.flatten(2).topk(4, 2)[1])[..., None])
function("space", "sorted_places", lambda x: x.flatten(2).sort(2, descending=True)[0][..., :8, None])
function("space", "cumulated", lambda x: x.cumsum(2) + x.cumsum(3))
function("space", "cumulated_over_channels", lambda x: x.cumsum(1))
function("space", "clamped", lambda x: torch.where(x > 0.5, x.clamp(max=1), torch.maximum(x, x * 0.1)))
function("space", "where_of_a_constant", lambda x: torch.where(x > 0.5, x, torch.zeros_like(x)))
function("space", "masked_fill", lambda x: x.masked_fill(x < 0.2, 0.0) + x.masked_fill(x < 0.2, -1.0).detach())


def _halves_written(x: Tensor) -> Tensor:
    o = torch.empty_like(x)
    o[:, :, ::2] = x[:, :, 1::2]
    o[:, :, 1::2] = x[:, :, ::2]
    return o


def _written_by_copy(x: Tensor) -> Tensor:
    o = x.new_zeros(x.shape[0], x.shape[1], x.shape[2] + 2, x.shape[3])
    o[:, :, 1:-1].copy_(x)
    return o


def _written_between(x: Tensor) -> Tensor:
    o = torch.zeros(x.shape[0], x.shape[1], 2 * x.shape[2], 2 * x.shape[3], device=x.device, dtype=x.dtype)
    o[:, :, ::2, ::2] = x
    return o


def _temporal_shift(x: Tensor) -> Tensor:
    y = x.view(-1, 2, *x.shape[1:])
    fold = x.shape[1] // 4
    o = torch.zeros_like(y)
    o[:, :-1, :fold] = y[:, 1:, :fold]
    o[:, 1:, fold : 2 * fold] = y[:, :-1, fold : 2 * fold]
    o[:, :, 2 * fold :] = y[:, :, 2 * fold :]
    return o.view(x.shape)


def _added_in_place(x: Tensor) -> Tensor:
    x = x.clone()
    x[:, :, 0] += 1.0
    x[:, :, 1:].mul_(2)
    return x


function("new tensors", "halves_written", _halves_written)
function("new tensors", "written_by_copy", _written_by_copy)
function("new tensors", "written_between", _written_between)
function("new tensors", "temporal_shift", _temporal_shift)
function("new tensors", "changed_in_place", _added_in_place)
function(
    "new tensors",
    "one_hot_of_the_largest_place",
    lambda x: F.one_hot(x.flatten(2).argmax(2), SIDE * SIDE).to(x)[..., None],
)


@middle("sums over channels", 1)
def sum_over_channels() -> nn.Module:
    return _Reduced(lambda x: x.sum(1, keepdim=True))


@middle("sums over channels", 1)
def mean_over_channels() -> nn.Module:
    return _Reduced(lambda x: x.mean(1, keepdim=True))


@middle("sums over channels", 1)
def largest_of_channels() -> nn.Module:
    return _Reduced(lambda x: x.amax(1, keepdim=True))


@middle("sums over channels", 1)
def cosine_similarity() -> nn.Module:
    return _Reduced(lambda x: F.cosine_similarity(x, x.flip(3), dim=1)[:, None])


class _Reduced(nn.Module):
    def __init__(self, call: Any) -> None:
        super().__init__()
        self.body, self.call = conv_bn(WIDTH, 16), call

    def forward(self, x: Tensor) -> Tensor:
        return self.call(self.body(x))


function("sums over channels", "normalised", lambda x: F.normalize(x, dim=1))
function("sums over channels", "most_of_channels", lambda x: x.topk(3, 1)[0], 3)
function("sums over channels", "softmax_of_channels", lambda x: x * x.softmax(1))
function(
    "sums over channels",
    "gram_matrix",
    lambda x: (x.flatten(2) @ x.flatten(2).transpose(1, 2)).mean(2)[..., None, None].expand_as(x),
)
function("sums over channels", "local_response", lambda x: F.local_response_norm(x, 3))


@middle("sampling")
class SpatialTransformer(nn.Module):
    """An affine grid that the image decides."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.theta = conv_bn(WIDTH, 16), nn.Linear(16, 6)

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x)
        grid = F.affine_grid(self.theta(x.mean((2, 3))).tanh().view(-1, 2, 3), list(x.shape), align_corners=False)
        return F.grid_sample(x, grid, align_corners=False)


@middle("sampling")
class Warped(nn.Module):
    """Optical flow: a grid of arange and meshgrid, plus a flow."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.flow = conv_bn(WIDTH, 16), nn.Conv2d(WIDTH, 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        _, _, h, w = x.shape
        rows, columns = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
        grid = torch.stack([columns, rows]).float()[None].to(x.device) + self.flow(x)
        grid = 2 * grid / (w - 1) - 1
        return F.grid_sample(self.body(x), grid.permute(0, 2, 3, 1), align_corners=True)


def _regions(x: Tensor) -> Tensor:
    import torchvision

    boxes = torch.tensor([[0, 1.0, 1.0, 9.0, 9.0], [1, 2.0, 0.0, 12.0, 8.0]], device=x.device)
    return torchvision.ops.roi_align(x, boxes.to(x.dtype), (4, 4))


function("sampling", "roi_align", _regions)


@middle("sampling")
def deformable() -> nn.Module:
    import torchvision

    class Deformable(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.offset, self.conv = (
                nn.Conv2d(WIDTH, 18, 3, padding=1),
                torchvision.ops.DeformConv2d(WIDTH, 16, 3, padding=1),
            )
            self.bn = nn.BatchNorm2d(16)

        def forward(self, x: Tensor) -> Tensor:
            return F.relu(self.bn(self.conv(x, self.offset(x))))

    return Deformable()
