"""Super-resolution without BatchNorm: channels are scored by their filters' size.

python examples/tasks/super_resolution.py [--steps N] [--onnx FILE]
"""

import argparse
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import netslim
from netslim.cost import measure_latency

SCALE, WIDTH = 2, 32


def drawn(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Images of waves (N, 3, 32, 32), small (N, 3, 16, 16) and as they were."""
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.linspace(0, 1, 32), torch.linspace(0, 1, 32), indexing="ij")
    waves = torch.rand(count, 3, 4, 4, 1, 1, generator=generator) * torch.tensor([25.0, 25.0, 6.3, 1.0]).view(4, 1, 1)
    across, down, phase, height = waves.unbind(3)
    large = (torch.sin(across * x + down * y + phase) * height).mean(2)
    return F.avg_pool2d(large, SCALE), large


class Block(nn.Module):
    """Two convolutions beside the stream."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(WIDTH, WIDTH, 3, padding=1), nn.Conv2d(WIDTH, WIDTH, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Shape: (N, WIDTH, H, W), kept."""
        changed: Tensor = self.last(F.relu(self.first(x)))
        return x + 0.1 * changed


class EDSR(nn.Module):
    """Lim et al. 2017: residual blocks without normalisation, then pixels from channels."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.body = nn.Conv2d(3, WIDTH, 3, padding=1), nn.Sequential(*(Block() for _ in range(4)))
        self.tail = nn.Sequential(nn.Conv2d(WIDTH, 3 * SCALE**2, 3, padding=1), nn.PixelShuffle(SCALE))

    def forward(self, small: Tensor) -> Tensor:
        """Shape: (N, 3, H, W) -> (N, 3, 2 H, 2 W)."""
        x = self.head(small)
        return F.interpolate(small, scale_factor=SCALE, mode="bilinear") + self.tail(x + self.body(x))


def train(model: nn.Module, steps: int, rate: float) -> None:
    """There are no scales for a penalty."""
    optimizer = torch.optim.Adam(model.parameters(), rate)
    for step in range(steps):
        small, large = drawn(8, seed=step)
        loss = F.l1_loss(model.train()(small), large)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@torch.no_grad()
def psnr(model: nn.Module) -> float:
    """In dB, on 32 images that no training saw, for values from -1 to 1."""
    small, large = drawn(32, seed=1_000_000)
    return float(10 * torch.log10(4 / F.mse_loss(model.eval()(small), large)))


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains, prunes, fine-tunes, exports, and prints what it did to the metric and to the time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=500, help="of training, and of fine-tuning")
    parser.add_argument("--onnx", default="super_resolution.onnx")
    options = parser.parse_args(arguments)
    torch.manual_seed(0)
    example = drawn(2, seed=0)[0]
    model = EDSR()
    train(model, options.steps, rate=2e-3)
    print(f"PSNR before {psnr(model):.2f}")

    plan = netslim.plan(model, example, target_macs=0.5, criterion="l2_norm")
    small = netslim.apply(model, plan)
    print(f"PSNR right after {psnr(small):.2f}, MACs {plan.before.macs:,} -> {plan.after.macs:,}")
    train(small, options.steps, rate=1e-3)
    print(f"PSNR fine-tuned {psnr(small):.2f}")

    written = netslim.export(small, example, options.onnx)
    print(f"{written.path}: within {written.difference:.0e} of the network")
    with torch.inference_mode():
        times = measure_latency({"before": lambda: model.eval()(example), "after": lambda: small.eval()(example)})
    print(", ".join(f"{name} {1e3 * time.median:.1f} ms" for name, time in times.items()))


if __name__ == "__main__":
    main()
