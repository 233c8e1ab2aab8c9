"""Small networks, one for each structure that channel groups have to be derived through."""

from typing import Any

import torch
from torch import Tensor, nn

SHAPE = (1, 3, 8, 8)


def conv_bn(inputs: int, outputs: int, **options: Any) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False, **options), nn.BatchNorm2d(outputs))


class Residual(nn.Module):
    """Two blocks on one stream."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.bn0 = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.inner, self.outer = conv_bn(4, 6), conv_bn(6, 4)
        self.fc = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.bn0(self.stem(x)))
        x = torch.relu(x + self.outer(torch.relu(self.inner(x))))
        return self.fc(x.mean((2, 3)))


class Concatenated(nn.Module):
    """Two convolutions side by side, normalised and read together."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(3, 2, 1), nn.Conv2d(3, 3, 1)
        self.bn = nn.BatchNorm2d(5)
        self.conv = nn.Conv2d(5, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(torch.relu(self.bn(torch.cat([self.left(x), self.right(x)], 1))))


class Grouped(nn.Module):
    """A depthwise and a grouped convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.depthwise = conv_bn(3, 6), conv_bn(6, 6, groups=6)
        self.grouped = conv_bn(6, 4, groups=2)
        self.last = nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.relu(self.grouped(torch.relu(self.depthwise(torch.relu(self.first(x)))))))


class Squeezed(nn.Module):
    """Squeeze-excitation."""

    def __init__(self) -> None:
        super().__init__()
        self.body = conv_bn(3, 6)
        self.squeeze, self.excite = nn.Conv2d(6, 2, 1), nn.Conv2d(2, 6, 1)
        self.last = nn.Conv2d(6, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.body(x))
        gate = self.excite(torch.relu(self.squeeze(x.mean((2, 3), keepdim=True))))
        return self.last(x * torch.sigmoid(gate))


class Shuffled(nn.Module):
    """ShuffleNet v2: half of the channels is passed on, then both halves are interleaved."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.branch = conv_bn(3, 8), conv_bn(4, 4)
        self.last = nn.Conv2d(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        first, second = torch.relu(self.stem(x)).chunk(2, 1)
        x = torch.cat([first, torch.relu(self.branch(second))], 1)
        n, channels, height, width = x.shape
        x = x.view(n, 2, channels // 2, height, width).transpose(1, 2).reshape(n, channels, height, width)
        return self.last(x)


class Flattened(nn.Module):
    """A linear layer that reads every pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.pool = conv_bn(3, 4), nn.MaxPool2d(4)
        self.hidden, self.bn, self.fc = nn.Linear(16, 5), nn.BatchNorm1d(5), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.flatten(self.pool(torch.relu(self.body(x))), 1)
        return self.fc(torch.relu(self.bn(self.hidden(x))))


class TwoHeads(nn.Module):
    """Two outputs, in a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.body = conv_bn(3, 4)
        self.classes, self.boxes = nn.Linear(4, 3), nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = torch.relu(self.body(x))
        return {"classes": self.classes(x.mean((2, 3))), "boxes": self.boxes(x)}


class Shared(nn.Module):
    """One convolution, used twice, each time with a BatchNorm of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.conv = conv_bn(3, 4), nn.Conv2d(4, 4, 3, padding=1)
        self.once, self.again = nn.BatchNorm2d(4), nn.BatchNorm2d(4)
        self.last = nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        x = torch.relu(self.once(self.conv(x)))
        return self.last(torch.relu(self.again(self.conv(x))))


class Gated(nn.Module):
    """One half of the channels opens and closes the other."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.last = conv_bn(3, 8), nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        values, gate = self.body(x).chunk(2, dim=1)
        return self.last(values * gate.sigmoid())


class Scaled(nn.Module):
    """A learnt scale for every channel, and a learnt picture for every channel."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.last = conv_bn(3, 4), nn.Conv2d(4, 2, 1)
        self.gamma = nn.Parameter(torch.rand(4, 1, 1))
        self.picture = nn.Parameter(torch.rand(1, 4, 8, 8))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.body(x) * self.gamma + self.picture)


class Attention(nn.Module):
    """A softmax over the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.free, self.body, self.last = conv_bn(3, 4), conv_bn(4, 4), nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(torch.relu(self.free(x)))
        return self.last(x * x.mean((2, 3), keepdim=True).softmax(1))


class FixedSplit(nn.Module):
    """Splits at a number that is written down."""

    def __init__(self) -> None:
        super().__init__()
        self.free, self.body = conv_bn(3, 4), conv_bn(4, 8)
        self.last = nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        first, second = torch.split(self.body(torch.relu(self.free(x))), 4, 1)
        return self.last(torch.relu(first + second))


class Bright(nn.Module):
    """A sigmoid makes 0.5 of a silent channel."""

    def __init__(self) -> None:
        super().__init__()
        self.free, self.body, self.last = conv_bn(3, 4), conv_bn(4, 4), nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.sigmoid(self.body(torch.relu(self.free(x)))))


class Padded(nn.Module):
    """The shortcut of He et al.'s option A: zeros beside the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.body, self.last = conv_bn(3, 2), conv_bn(2, 4), nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        return self.last(torch.relu(self.body(x) + nn.functional.pad(x, (0, 0, 0, 0, 1, 1))))


class Auxiliary(nn.Module):
    """A head that works in training only."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.last, self.aux = conv_bn(3, 4), nn.Conv2d(4, 2, 1), nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        x = torch.relu(self.body(x))
        return (self.last(x), self.aux(x)) if self.training else self.last(x)


class Deciding(nn.Module):
    """Looks at the numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.last = conv_bn(3, 4), nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x)
        if x.sum() > 0:
            x = torch.relu(x)
        return self.last(x)


class Unnormalised(nn.Module):
    """No BatchNorm at all."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.last = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.relu(self.body(x)))
