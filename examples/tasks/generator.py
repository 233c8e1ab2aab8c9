"""A generator: transposed convolutions draw a shape from six numbers.

python examples/tasks/generator.py [--steps N] [--onnx FILE]
"""

import argparse
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import netslim
from netslim.cost import measure_latency

SIDE = 32


def drawn(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """What is to be drawn (place, radius and colour; (N, 6)), and the drawing (N, 3, 32, 32)."""
    generator = torch.Generator().manual_seed(seed)
    wanted = torch.rand(count, 6, generator=generator)
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    cx, cy, radius = (
        (wanted[:, :3] * torch.tensor([20.0, 20, 6]) + torch.tensor([6.0, 6, 4])).view(-1, 3, 1, 1).unbind(1)
    )
    inside = ((x - cx) ** 2 + (y - cy) ** 2 < radius**2).float()
    return wanted, inside[:, None] * wanted[:, 3:, None, None]


class Generator(nn.Module):
    """A linear layer, three transposed convolutions that double the side, and one that gives the colours."""

    def __init__(self) -> None:
        super().__init__()
        widths = (128, 64, 48, 32)
        self.first = nn.Linear(6, 128 * 16)
        self.body = nn.Sequential(
            *(
                nn.Sequential(nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU())
                for a, b in pairwise(widths)
            )
        )
        self.last = nn.Conv2d(32, 3, 3, padding=1)

    def forward(self, wanted: Tensor) -> Tensor:
        """Shape: (N, 6) -> (N, 3, 32, 32)."""
        images: Tensor = self.last(self.body(F.relu(self.first(wanted)).view(-1, 128, 4, 4)))
        return images


def train(model: nn.Module, steps: int, rate: float, strength: float = 0.0) -> None:
    """A loop as anyone would write it; the penalty's two lines go around the optimizer's step."""
    optimizer = torch.optim.Adam(model.parameters(), rate)
    penalty = netslim.penalty(model, "l1", strength=strength) if strength else None
    for step in range(steps):
        wanted, images = drawn(32, seed=step)
        loss = F.mse_loss(model.train()(wanted), images)
        optimizer.zero_grad()
        loss.backward()
        if penalty:
            penalty.before_step_()
        optimizer.step()
        if penalty:
            penalty.after_step_()


@torch.no_grad()
def psnr(model: nn.Module) -> float:
    """In dB, on 128 drawings that no training saw."""
    wanted, images = drawn(128, seed=1_000_000)
    return float(10 * torch.log10(1 / F.mse_loss(model.eval()(wanted), images)))


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains with a penalty, prunes, fine-tunes, exports, and prints what it did to the metric and to the time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=600, help="of training, and of fine-tuning")
    parser.add_argument("--onnx", default="generator.onnx")
    options = parser.parse_args(arguments)
    torch.manual_seed(0)
    example = drawn(2, seed=0)[0]
    model = Generator()
    train(model, options.steps, rate=2e-3, strength=1e-5)
    print(f"PSNR before {psnr(model):.2f}")

    plan = netslim.plan(model, example, target_macs=0.5)
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
