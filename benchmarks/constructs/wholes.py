"""Whole networks: several scales, inputs and outputs, sequences, branches for training, what wraps a network."""

from __future__ import annotations

import dataclasses
from collections import namedtuple
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.utils.checkpoint import checkpoint

from constructs import WIDTH, Around, Function, construct, conv_bn, images, middle

Boxes = namedtuple("Boxes", ["logits", "boxes"])


def pair() -> tuple[Tensor, Tensor]:
    return images(), images().flip(0) + 0.5


def named() -> dict[str, Tensor]:
    return dict(zip(("left", "right"), pair(), strict=True))


def words() -> Tensor:
    return torch.randint(0, 50, (2, 20), generator=torch.Generator().manual_seed(1))


def series() -> Tensor:
    return torch.randn(2, 12, 40, generator=torch.Generator().manual_seed(1))


@middle("scales")
class Sppf(nn.Module):
    """Three poolings in a row, concatenated."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last, self.pool = conv_bn(WIDTH, 8, 1), conv_bn(32, WIDTH, 1), nn.MaxPool2d(5, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        y1 = self.pool(x)
        y2 = self.pool(y1)
        return self.last(torch.cat((x, y1, y2, self.pool(y2)), 1))


@construct("scales")
class PathAggregation(nn.Module):
    """PANet: down, up with concatenation, down again; a decoupled head per scale, anchors and grids as in YOLO."""

    def __init__(self) -> None:
        super().__init__()
        self.p1, self.p2 = conv_bn(3, 16, stride=2), conv_bn(16, 24, stride=2)
        self.up, self.down, self.n2 = conv_bn(40, 16), conv_bn(16, 16, stride=2), conv_bn(40, 24)
        self.heads = nn.ModuleList(
            [nn.ModuleList([conv_bn(c, c), conv_bn(c, c), nn.Conv2d(c, 4, 1), nn.Conv2d(c, 3, 1)]) for c in (16, 24)]
        )
        self.register_buffer("anchors", torch.rand(2, 1, 4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        p1 = self.p1(x)
        p2 = self.p2(p1)
        up = self.up(torch.cat([F.interpolate(p2, size=p1.shape[-2:], mode="nearest"), p1], 1))
        found = []
        for number, (each, head) in enumerate(
            zip((up, self.n2(torch.cat([self.down(up), p2], 1))), self.heads, strict=True)
        ):
            box, classes = head[2](head[0](each)), head[3](head[1](each))
            rows, columns = torch.meshgrid(torch.arange(each.shape[2]), torch.arange(each.shape[3]), indexing="ij")
            grid = torch.stack((columns, rows, columns, rows)).to(box)[None]
            box = (box.sigmoid() * 2 - 0.5 + grid) * self.anchors[number]
            found.append(torch.cat([box, classes.sigmoid()], 1).flatten(2))
        return torch.cat(found, 2).transpose(1, 2)


@construct("scales")
class GridsByType(nn.Module):
    """YOLOX: grids are made of the type that the outputs have, and kept."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head, self.grid = conv_bn(3, 16), nn.Conv2d(16, 6, 1), torch.zeros(1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.head(self.body(x))
        h, w = y.shape[-2:]
        if self.grid.shape[2:4] != y.shape[2:4]:
            rows, columns = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
            self.grid = torch.stack((columns, rows), 2).view(1, 1, h, w, 2).type(x.type())
        y = y.view(x.shape[0], 1, 6, h, w).permute(0, 1, 3, 4, 2).reshape(x.shape[0], h * w, 6)
        strides = torch.full((1, h * w, 1), 8.0).type(x.type())
        y[..., :2] = (y[..., :2] + self.grid.view(1, -1, 2)) * strides
        y[..., 2:4] = torch.exp(y[..., 2:4]) * 8
        return y


@construct("scales")
class UNet(nn.Module):
    """Transposed convolutions, cropped and padded to fit."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.deep = conv_bn(3, 16), nn.Sequential(nn.MaxPool2d(2), conv_bn(16, 24, padding=0))
        self.up, self.join, self.out = nn.ConvTranspose2d(24, 16, 2, 2), conv_bn(32, 16), nn.Conv2d(16, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        skip = self.down(x)
        y = self.up(self.deep(skip))
        dy, dx = skip.size(2) - y.size(2), skip.size(3) - y.size(3)
        y = F.pad(y, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2])
        return self.out(self.join(torch.cat([skip, y], 1)[:, :, 1:-1, 1:-1]))


@construct("scales", lambda: torch.randn(2, 8, generator=torch.Generator().manual_seed(1)))
def generator_of_images() -> nn.Module:
    layers = [nn.Linear(8, 16 * 16), nn.Unflatten(1, (16, 4, 4)), nn.BatchNorm2d(16), nn.ReLU()]
    layers += [
        nn.ConvTranspose2d(16, 12, 4, 2, 1),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.Upsample(scale_factor=2),
        conv_bn(12, 8),
    ]
    return nn.Sequential(*layers, nn.ConvTranspose2d(8, 3, 3, padding=1), nn.Tanh())


@construct("scales")
class SegNet(nn.Module):
    """Places of pooling are used to unpool."""

    def __init__(self) -> None:
        super().__init__()
        self.encode, self.decode = (
            nn.ModuleList([conv_bn(3, 16), conv_bn(16, 16)]),
            nn.ModuleList([conv_bn(16, 16), nn.Conv2d(16, 2, 1)]),
        )

    def forward(self, x: Tensor) -> Tensor:
        places = []
        for layer in self.encode:
            x, place = F.max_pool2d(layer(x), 2, return_indices=True)
            places.append(place)
        for layer, place in zip(self.decode, reversed(places), strict=True):
            x = layer(F.max_unpool2d(x, place, 2))
        return x


class _Heads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.inner, self.logits, self.boxes = (
            conv_bn(3, 16),
            conv_bn(16, 16),
            nn.Linear(16, 5),
            nn.Conv2d(16, 4, 1),
        )

    def both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.inner(self.body(x))
        return self.logits(x.mean((2, 3))), self.boxes(x)


@construct("outputs")
class NestedOutputs(_Heads):
    """Lists in dictionaries."""

    def forward(self, x: Tensor) -> dict[str, Any]:
        logits, boxes = self.both(x)
        return {"logits": logits, "more": [boxes, (boxes * 2, {"deep": logits + 1})]}


@dataclasses.dataclass
class Found:
    """An output of its own kind."""

    logits: Tensor
    boxes: Tensor | None = None


@construct("outputs")
class DataclassOutputs(_Heads):
    """A data class."""

    def forward(self, x: Tensor) -> Found:
        return Found(*self.both(x))


@construct("outputs")
class NamedTupleOutputs(_Heads):
    """A named tuple."""

    def forward(self, x: Tensor) -> Boxes:
        return Boxes(*self.both(x))


class _Object:
    def __init__(self, logits: Tensor, boxes: Tensor) -> None:
        self.logits, self.boxes = logits, {"list": [boxes]}


@construct("outputs")
class ObjectOutputs(_Heads):
    """Any object."""

    def forward(self, x: Tensor) -> _Object:
        return _Object(*self.both(x))


@construct("outputs")
class FeatureMaps(nn.Module):
    """A map in the middle is an output, too: its channels stay."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.inner, self.logits = conv_bn(3, 16), conv_bn(16, 16), nn.Linear(16, 5)

    def forward(self, x: Tensor) -> list[Tensor]:
        y = self.body(x)
        return [y, self.logits(self.inner(y).mean((2, 3)))]


@construct("inputs", pair)
class Siamese(nn.Module):
    """Two images through the same layers."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.embed = nn.Sequential(conv_bn(3, 16), conv_bn(16, 16)), nn.Linear(16, 8)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        left, right = (self.embed(self.body(x).mean((2, 3))) for x in (left, right))
        return F.pairwise_distance(left, right) + F.cosine_similarity(left, right)


@construct("inputs", named)
class InputsByName(nn.Module):
    """Two branches that are concatenated."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other, self.last = (
            conv_bn(3, 16),
            conv_bn(3, 8),
            nn.Sequential(conv_bn(24, 16), nn.Conv2d(16, 4, 1)),
        )

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return self.last(torch.cat([self.one(left), self.other(right)], 1))


@construct("inputs", lambda: ({"image": images(), "mask": images()[:, :1] > 0},))
class ADictionary(nn.Module):
    """One argument that is a dictionary, with a mask of booleans."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.last = conv_bn(3, 16), nn.Linear(16, 5)

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        return self.last((self.body(batch["image"]) * batch["mask"]).mean((2, 3)))


@construct("sequences", words)
class WordsAndConvolution(nn.Module):
    """Embedding, convolutions of several sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.convs = (
            nn.Embedding(50, 12),
            nn.ModuleList([nn.Sequential(nn.Conv1d(12, 16, k), nn.BatchNorm1d(16)) for k in (3, 5)]),
        )
        self.fc = nn.Linear(32, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x).transpose(1, 2)
        return self.fc(torch.cat([F.relu(conv(x)).max(2)[0] for conv in self.convs], 1))


class _Recurrent(nn.Module):
    kind: type[nn.Module] = nn.LSTM
    bidirectional = False

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv1d(12, 16, 3, padding=1), nn.BatchNorm1d(16)
        self.rnn = self.kind(16, 8, num_layers=2, batch_first=True, bidirectional=self.bidirectional)
        self.fc = nn.Linear(8 * (1 + self.bidirectional), 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.rnn(F.relu(self.bn(self.conv(x))).transpose(1, 2))[0][:, -1])


@construct("sequences", series)
class ConvolutionAndLstm(_Recurrent):
    """CRNN."""


@construct("sequences", series)
class ConvolutionAndGru(_Recurrent):
    """Both directions."""

    kind, bidirectional = nn.GRU, True


@construct("sequences", lambda: (series(), torch.tensor([40, 25])))
class PackedSequences(_Recurrent):
    """Sequences of different lengths."""

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        x = F.relu(self.bn(self.conv(x))).transpose(1, 2)
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return self.fc(pad_packed_sequence(self.rnn(packed)[0], batch_first=True)[0][:, -1])


@construct("sequences", series)
class PackedFixedLengths(_Recurrent):
    """Lengths that stand in the code, in order."""

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn(self.conv(x))).transpose(1, 2)
        packed = pack_padded_sequence(x, [40, 25], batch_first=True)
        return self.fc(self.rnn(packed)[1][0][-1])


@construct("sequences", series)
class CellByCell(nn.Module):
    """A loop over time."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn, self.cell, self.fc = (
            nn.Conv1d(12, 16, 3, stride=4),
            nn.BatchNorm1d(16),
            nn.GRUCell(16, 8),
            nn.Linear(8, 5),
        )

    def forward(self, x: Tensor) -> Tensor:
        x, state = F.relu(self.bn(self.conv(x))), torch.zeros(x.shape[0], 8, device=x.device, dtype=x.dtype)
        for moment in x.unbind(2):
            state = self.cell(moment, state)
        return self.fc(state)


@construct("sequences", images)
class ReadAsText(nn.Module):
    """OCR: columns of the map are moments, rows and channels features."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.rnn, self.fc = (
            nn.Sequential(conv_bn(3, 16), nn.MaxPool2d((4, 1))),
            nn.LSTM(64, 8, bidirectional=True),
            nn.Linear(16, 5),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x)
        n, c, h, w = x.size()
        return self.fc(self.rnn(x.view(n, c * h, w).permute(2, 0, 1))[0])


@construct("training")
class AuxiliaryHead(nn.Module):
    """A second classifier while training."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.inner, self.fc = conv_bn(3, 16), conv_bn(16, 16), nn.Linear(16, 5)
        self.second = nn.Sequential(conv_bn(16, 8), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 5))

    def forward(self, x: Tensor) -> Any:
        x = self.body(x)
        logits = self.fc(self.inner(x).mean((2, 3)))
        return (logits, self.second(x)) if self.training else logits


@middle("training")
class NoiseInTraining(nn.Module):
    """Noise, dropped blocks and a scale of its own while training."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.gamma = conv_bn(WIDTH, 16), nn.Parameter(torch.rand(1, 16, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x) * self.gamma
        if self.training:
            y = y + torch.randn_like(y) * 0.1
            keep = torch.empty(x.shape[0], 1, 1, 1, device=x.device).bernoulli_(0.8)
            y = y / 0.8 * keep
        return x + y


@middle("training")
class NoisePerChannelInTraining(nn.Module):
    """Noise of a fixed width: those channels stay."""

    def __init__(self) -> None:
        super().__init__()
        self.body = conv_bn(WIDTH, 16)

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        return y + torch.randn(1, 16, 1, 1) * 0.1 if self.training else y


@middle("training")
def stochastic_depth() -> nn.Module:
    import torchvision

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.drop = conv_bn(WIDTH, 16), torchvision.ops.StochasticDepth(0.2, "row")

        def forward(self, x: Tensor) -> Tensor:
            return x + self.drop(self.body(x))

    return Block()


@middle("wrappers")
class Checkpointed(nn.Module):
    """Computed again in the backward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(conv_bn(WIDTH, 16), conv_bn(16, 16))

    def forward(self, x: Tensor) -> Tensor:
        return checkpoint(self.body, x, use_reentrant=False)


@middle("wrappers")
class MixedPrecision(nn.Module):
    """Types are changed on the way."""

    def __init__(self) -> None:
        super().__init__()
        self.body = conv_bn(WIDTH, 16)

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(x)
        return y.double().mul(2.0).to(y.dtype) + y.type_as(x) + y.to(x)


@construct("wrappers")
def traced_by_fx() -> nn.Module:
    return torch.fx.symbolic_trace(Around(nn.Sequential(conv_bn(WIDTH, 16), Function(lambda x: x.sigmoid() * x))))


@construct("wrappers")
def data_parallel() -> nn.Module:
    return nn.DataParallel(Around(conv_bn(WIDTH, 16)))


@middle("wrappers")
class Interpreted(nn.Module):
    """Layers named by strings, looked up while running."""

    def __init__(self) -> None:
        super().__init__()
        self.plan = [("a", -1), ("b", -1), ("c", [0, 1])]
        for name, layer in zip("abc", (conv_bn(WIDTH, 16), conv_bn(16, 16), conv_bn(32, 16)), strict=True):
            self.add_module(f"layer_{name}", layer)

    def forward(self, x: Tensor) -> Tensor:
        kept: list[Tensor] = []
        for name, source in self.plan:
            x = torch.cat([kept[i] for i in source], 1) if isinstance(source, list) else x
            x = getattr(self, f"layer_{name}")(x)
            kept.append(x)
        return x


@middle("wrappers")
class FlattenedByFixedNumbers(nn.Module):
    """A view to a number that stands in the code: those channels stay."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.hidden = conv_bn(WIDTH, 16), nn.Linear(16 * 16, 16)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.hidden(F.adaptive_avg_pool2d(self.body(x), 4).view(-1, 256)))
        return x * y[:, :, None, None]


@middle("wrappers")
class FlattenedByShape(nn.Module):
    """The same by the batch's size."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.hidden = conv_bn(WIDTH, 16), nn.Linear(16 * 16, 16)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.hidden(F.adaptive_avg_pool2d(self.body(x), 4).view(x.size(0), -1)))
        return x * y[:, :, None, None]


@construct("wrappers")
def scripted() -> nn.Module:
    return torch.jit.script(nn.Sequential(conv_bn(3, 16), conv_bn(16, 8)))


@construct("wrappers")
def lazy() -> nn.Module:
    return nn.Sequential(nn.LazyConv2d(16, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.LazyConv2d(8, 3))


@construct("wrappers")
def on_the_meta_device() -> nn.Module:
    with torch.device("meta"):
        return nn.Sequential(conv_bn(3, 16), conv_bn(16, 8))


@construct("wrappers")
class DependsOnValues(nn.Module):
    """A decision by a value that is computed."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.last = conv_bn(3, 16), conv_bn(16, 8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x)
        return self.last(x) if x.mean() > 0 else self.last(x * 2)
