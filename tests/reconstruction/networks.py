"""Networks in which some channels are copies of others, so that nothing need be lost without them."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from netslim.pruning import apply, plan
from netslim.training.bn_statistics import recalibrate_


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.conv2, self.bn2 = nn.Conv2d(8, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)
        self.fc = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        return self.fc(F.relu(self.bn2(self.conv2(x))).mean((2, 3)))


class Residual(Plain):
    """Copies in the branch alone, and a shortcut that goes over it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv3, self.bn3 = nn.Conv2d(6, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.conv4, self.bn4 = nn.Conv2d(8, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))
        y = self.bn4(self.conv4(F.relu(self.bn3(self.conv3(x)))))
        y += x
        return self.fc(F.relu(y).mean((2, 3)))


class Transposed(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.conv2 = nn.ConvTranspose2d(8, 6, 3, stride=2, padding=1, output_padding=1)


class Depthwise(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.deep, self.bn3 = nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.BatchNorm2d(8)
        nn.init.constant_(self.deep.bias, 0)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn3(self.deep(F.relu(self.bn1(self.conv1(x))))))
        return self.fc(F.relu(self.bn2(self.conv2(x))).mean((2, 3)))


class Sequences(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv1d(3, 8, 3, dilation=2), nn.BatchNorm1d(8)
        self.conv2 = nn.Conv1d(8, 6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(F.relu(self.bn1(self.conv1(x)))).mean(2)


class TwiceUsed(Plain):
    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        return self.fc(F.relu(self.conv2(x)).mean((2, 3)) - F.relu(self.conv2(x.flip(3) * 0.5)).mean((2, 3)))


class Grouped(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.conv2 = nn.Conv2d(8, 6, 3, padding=2, dilation=2, groups=2)


class Volumes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv3d(3, 8, 3), nn.BatchNorm3d(8)
        self.conv2 = nn.Conv3d(8, 6, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(F.relu(self.bn1(self.conv1(x)))).mean((2, 3, 4))


class Flattened(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.fc = nn.Linear(8 * 4, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(F.adaptive_avg_pool2d(F.relu(self.bn1(self.conv1(x))), 2).flatten(1))


class Recurrent(Sequences):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8, 6, num_layers=2, bidirectional=True, batch_first=True)
        self.fc = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.lstm(F.relu(self.bn1(self.conv1(x))).transpose(1, 2))[0][:, -1])


class StepsFirst(Recurrent):
    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(8, 12, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.gru(F.relu(self.bn1(self.conv1(x))).permute(2, 0, 1))[0][-1])


IMAGES = torch.randn(64, 3, 10, 10, generator=torch.Generator().manual_seed(1))


def images_for(kind: type[nn.Module]) -> Tensor:
    """What it takes."""
    if kind is Volumes:
        return IMAGES.unflatten(3, (2, 5)).transpose(3, 4)[:, :, :6].contiguous().repeat_interleave(2, 4)
    return IMAGES[..., 0] if issubclass(kind, Sequences) else IMAGES


@torch.no_grad()
def with_copies(model: nn.Module, names: tuple[str, ...] = ("conv1", "bn1")) -> nn.Module:
    """Channels 4 to 7 of these layers are copies of 0 to 3; the BatchNorms' scales and shifts make them smaller."""
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.weight.copy_(torch.rand(module.weight.shape, generator=generator) + 0.5)
            module.bias.copy_(torch.randn(module.bias.shape, generator=generator) * 0.3)
    for name in names:
        layer = model.get_submodule(name)
        for tensor in layer.parameters():
            tensor[4:8] = tensor[:4] * (0.3 if isinstance(layer, _BatchNorm) else 1)
    recalibrate_(model, images_for(type(model)).split(16))
    return model.eval()


def pruned(model: nn.Module, images: Tensor, norms: tuple[str, ...] = ("bn1",)) -> nn.Module:
    """Without the copies."""
    return apply(model, plan(model, images[:1], percent=0.49, criterion="bn_scale", only=norms))
