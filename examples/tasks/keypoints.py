"""Keypoints: a U-Net points at the three corners of a triangle.

python examples/tasks/keypoints.py [--steps N] [--onnx FILE]
"""

import argparse
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import netslim
from netslim.cost import measure_latency

SIDE = 64


def drawn(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Noisy triangles (N, 1, 64, 64) with a differently bright side each, and their corners (N, 3, 2) in pixels."""
    generator = torch.Generator().manual_seed(seed)
    angle = 6.28 * (torch.rand(count, 1, generator=generator) + torch.arange(3) / 3)
    radius, middle = (
        10 + 10 * torch.rand(count, 3, generator=generator),
        26 + 12 * torch.rand(count, 1, 2, generator=generator),
    )
    corners = middle + radius[..., None] * torch.stack([angle.cos(), angle.sin()], -1)
    images = torch.rand(count, 1, SIDE, SIDE, generator=generator) * 0.3
    for image, (a, b, c) in zip(images, corners, strict=True):
        for (start, end), bright in zip(((a, b), (b, c), (c, a)), (0.3, 0.6, 1.0), strict=True):
            x, y = (start + torch.linspace(0, 1, 80)[:, None] * (end - start)).round().long().clamp(0, SIDE - 1).T
            image[0, y, x] = bright
    return images, corners


def double(inputs: int, outputs: int) -> nn.Sequential:
    """Two convolutions with BatchNorm."""
    layers = []
    for width in (inputs, outputs):
        layers += [nn.Conv2d(width, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """Ronneberger et al. 2015, small: three levels down, and up again with what the levels saw."""

    def __init__(self) -> None:
        super().__init__()
        widths = (16, 32, 64, 96)
        self.down = nn.ModuleList(double(a, b) for a, b in pairwise((1, *widths)))
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, 2) for a, b in pairwise(widths))
        self.join = nn.ModuleList(double(2 * a, a) for a in widths[:-1])
        self.last = nn.Conv2d(16, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Shape: (N, 1, H, W) -> (N, 3, H, W), a map of logits for every corner."""
        seen = []
        for level, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if level else x)
            seen.append(x)
        for level in (2, 1, 0):
            x = self.join[level](torch.cat([seen[level], self.up[level](x)], 1))
        maps: Tensor = self.last(x)
        return maps


def loss_of(maps: Tensor, corners: Tensor) -> Tensor:
    """Each map is a distribution over the pixels: cross-entropy with the corner's."""
    x, y = corners.round().long().clamp(0, SIDE - 1).unbind(-1)
    return F.cross_entropy(maps.flatten(2).flatten(0, 1), (y * SIDE + x).flatten())


def train(model: nn.Module, steps: int, rate: float, strength: float = 0.0) -> None:
    """A loop as anyone would write it; the penalty's two lines go around the optimizer's step."""
    optimizer = torch.optim.Adam(model.parameters(), rate)
    penalty = netslim.penalty(model, "l1", strength=strength) if strength else None
    for step in range(steps):
        images, corners = drawn(8, seed=step)
        loss = loss_of(model.train()(images), corners)
        optimizer.zero_grad()
        loss.backward()
        if penalty:
            penalty.before_step_()
        optimizer.step()
        if penalty:
            penalty.after_step_()


@torch.no_grad()
def near(model: nn.Module) -> float:
    """Share of the corners of 64 new triangles that are found within 3 pixels."""
    images, corners = drawn(64, seed=1_000_000)
    places = model.eval()(images).flatten(2).argmax(2)
    found = torch.stack([places % SIDE, places // SIDE], -1)
    return float(((found - corners).norm(dim=-1) < 3).float().mean())


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains with a penalty, prunes, fine-tunes, exports, and prints what it did to the metric and to the time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=400, help="of training, and of fine-tuning")
    parser.add_argument("--onnx", default="keypoints.onnx")
    options = parser.parse_args(arguments)
    torch.manual_seed(0)
    example = drawn(2, seed=0)[0]
    model = UNet()
    train(model, options.steps, rate=2e-3, strength=1e-4)
    print(f"corners found before {near(model):.3f}")

    plan = netslim.plan(model, example, target_macs=0.5)
    small = netslim.apply(model, plan)
    print(f"corners found right after {near(small):.3f}, MACs {plan.before.macs:,} -> {plan.after.macs:,}")
    train(small, options.steps, rate=1e-3)
    print(f"corners found fine-tuned {near(small):.3f}")

    written = netslim.export(small, example, options.onnx)
    print(f"{written.path}: within {written.difference:.0e} of the network")
    with torch.inference_mode():
        times = measure_latency({"before": lambda: model.eval()(example), "after": lambda: small.eval()(example)})
    print(", ".join(f"{name} {1e3 * time.median:.1f} ms" for name, time in times.items()))


if __name__ == "__main__":
    main()
