"""A Siamese network: one network looks at two images, and says whether they show the same kind of shape.

python examples/tasks/siamese.py [--steps N] [--onnx FILE]
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


def drawn(count: int, seed: int) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """Pairs of noisy images (N, 1, 32, 32) of discs, squares or crosses, and whether both are of one kind."""
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    kinds = torch.randint(3, (2, count), generator=generator)
    kinds[1] = torch.where(torch.rand(count, generator=generator) < 0.5, kinds[0], kinds[1])
    images = torch.rand(2, count, 1, SIDE, SIDE, generator=generator) * 0.5
    for image, kind in zip(images.flatten(0, 1), kinds.flatten().tolist(), strict=True):
        cx, cy, radius = (int(torch.randint(*ends, (), generator=generator)) for ends in ((10, 22), (10, 22), (5, 9)))
        across, down = abs(x - cx), abs(y - cy)
        away = [(across**2 + down**2).sqrt(), torch.maximum(across, down), torch.maximum(across, down)][kind]
        near = (away < radius) & ((kind != 2) | (torch.minimum(across, down) < 2))
        image[0][near] += 0.5
    return (images[0], images[1]), (kinds[0] == kinds[1]).float()


class Siamese(nn.Module):
    """Both images go through the same layers; what differs between the results decides."""

    def __init__(self) -> None:
        super().__init__()
        widths = (1, 16, 32, 64)
        blocks = [
            nn.Sequential(nn.Conv2d(a, b, 3, 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU())
            for a, b in pairwise(widths)
        ]
        self.body = nn.Sequential(*blocks, nn.Conv2d(64, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU())
        self.head = nn.Linear(64, 1)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Shape: twice (N, 1, H, W) -> (N,), a logit."""
        one, other = (self.body(image).mean((2, 3)) for image in (first, second))
        logits: Tensor = self.head((one - other).abs()).squeeze(1)
        return logits


def train(model: nn.Module, steps: int, rate: float, strength: float = 0.0) -> None:
    """A loop as anyone would write it; the penalty's two lines go around the optimizer's step."""
    optimizer = torch.optim.Adam(model.parameters(), rate)
    penalty = netslim.penalty(model, "l1", strength=strength) if strength else None
    for step in range(steps):
        pair, same = drawn(32, seed=step)
        loss = F.binary_cross_entropy_with_logits(model.train()(*pair), same)
        optimizer.zero_grad()
        loss.backward()
        if penalty:
            penalty.before_step_()
        optimizer.step()
        if penalty:
            penalty.after_step_()


@torch.no_grad()
def accuracy(model: nn.Module) -> float:
    """On 256 pairs that no training saw."""
    pair, same = drawn(256, seed=1_000_000)
    return float(((model.eval()(*pair) > 0) == (same > 0)).float().mean())


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains with a penalty, prunes, fine-tunes, exports, and prints what it did to the metric and to the time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=600, help="of training, and of fine-tuning")
    parser.add_argument("--onnx", default="siamese.onnx")
    options = parser.parse_args(arguments)
    torch.manual_seed(0)
    example = drawn(2, seed=0)[0]
    model = Siamese()
    train(model, options.steps, rate=2e-3, strength=1e-4)
    print(f"accuracy before {accuracy(model):.3f}")

    plan = netslim.plan(model, example, target_macs=0.5)
    small = netslim.apply(model, plan)
    print(f"accuracy right after {accuracy(small):.3f}, MACs {plan.before.macs:,} -> {plan.after.macs:,}")
    train(small, options.steps, rate=1e-3)
    print(f"accuracy fine-tuned {accuracy(small):.3f}")

    written = netslim.export(small, example, options.onnx)
    print(f"{written.path}: within {written.difference:.0e} of the network")
    with torch.inference_mode():
        times = measure_latency({"before": lambda: model.eval()(*example), "after": lambda: small.eval()(*example)})
    print(", ".join(f"{name} {1e3 * time.median:.1f} ms" for name, time in times.items()))


if __name__ == "__main__":
    main()
