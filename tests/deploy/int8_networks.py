"""Networks with what matters to quantisation, and their ONNX files."""

import torch
from torch import Tensor, nn

from netslim.deploy.inference import for_inference
from netslim.deploy.targets.onnx import onnx_bytes

IMAGES = torch.randn(16, 3, 12, 12, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    """A sum, a concatenation of outputs of ReLUs, pooling: all of them have kernels in int8."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.same = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.left, self.right = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 3, padding=1)
        self.pool, self.head = nn.MaxPool2d(2), nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        x = torch.relu(self.same(x) + x)
        x = torch.cat([torch.relu(self.left(x)), torch.relu(3 * self.right(x))], 1)
        found: Tensor = self.head(self.pool(x).mean((2, 3)))
        return found


def content(model: nn.Module, images: Tensor = IMAGES) -> bytes:
    return onnx_bytes(for_inference(model, images), images)
