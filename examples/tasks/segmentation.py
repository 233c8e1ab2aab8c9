"""Semantic segmentation: torchvision's LRASPP on drawn shapes, at half of its MACs.

python examples/tasks/segmentation.py [--steps N] [--onnx FILE]
"""

import argparse
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.segmentation import lraspp_mobilenet_v3_large

import netslim
from netslim.cost import measure_latency

CLASSES = ("background", "disc", "square")
SIDE = 64


def drawn(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Noisy images (N, 3, 64, 64) of a disc and a square each, and the class of every pixel (N, 64, 64)."""
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    images = torch.rand(count, 3, SIDE, SIDE, generator=generator) * 0.5
    classes = torch.zeros(count, SIDE, SIDE, dtype=torch.long)
    for image, target in zip(images, classes, strict=True):
        for number in (1, 2):
            cx, cy, radius = (int(torch.randint(12, 52, (), generator=generator)) for _ in range(3))
            radius = 6 + radius % 10
            away = ((x - cx) ** 2 + (y - cy) ** 2).sqrt() if number == 1 else torch.maximum(abs(x - cx), abs(y - cy))
            target[away < radius] = number
            image[:, away < radius] += torch.rand(3, 1, generator=generator) * 0.8
    return images, classes


def train(model: nn.Module, steps: int, rate: float, strength: float = 0.0) -> None:
    """A loop as anyone would write it; the penalty's two lines go around the optimizer's step."""
    optimizer = torch.optim.Adam(model.parameters(), rate)
    penalty = netslim.penalty(model, "l1", strength=strength) if strength else None
    for step in range(steps):
        images, classes = drawn(8, seed=step)
        loss = F.cross_entropy(model.train()(images)["out"], classes)
        optimizer.zero_grad()
        loss.backward()
        if penalty:
            penalty.before_step_()
        optimizer.step()
        if penalty:
            penalty.after_step_()
    netslim.recalibrate_(model, [drawn(8, seed) for seed in range(8)])  # this network's statistics move by 1 % a step


@torch.no_grad()
def mean_iou(model: nn.Module, count: int = 32) -> float:
    """Intersection over union on images that no training saw, the mean over the classes."""
    images, classes = drawn(count, seed=1_000_000)
    found = model.eval()(images)
    found = (found["out"] if isinstance(found, dict) else found).argmax(1)
    shares = [
        ((found == c) & (classes == c)).sum() / ((found == c) | (classes == c)).sum() for c in range(len(CLASSES))
    ]
    return float(torch.stack(shares).mean())


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains with a penalty, prunes, fine-tunes, exports, and prints what it did to the metric and to the time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=300, help="of training, and of fine-tuning")
    parser.add_argument("--onnx", default="segmentation.onnx")
    options = parser.parse_args(arguments)
    torch.manual_seed(0)
    example = drawn(2, seed=0)[0]
    model = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=len(CLASSES))
    train(model, options.steps, rate=2e-3, strength=1e-4)
    print(f"mean IoU before {mean_iou(model):.3f}")

    plan = netslim.plan(model, example, target_macs=0.5)
    small = netslim.apply(model, plan)
    netslim.recalibrate_(small, [drawn(8, seed) for seed in range(4)])
    print(f"mean IoU right after {mean_iou(small):.3f}, MACs {plan.before.macs:,} -> {plan.after.macs:,}")
    train(small, options.steps, rate=1e-3)
    print(f"mean IoU fine-tuned {mean_iou(small):.3f}")

    written = netslim.export(small, example, options.onnx)
    print(f"{written.path}: within {written.difference:.0e} of the network")
    with torch.inference_mode():
        times = measure_latency({"before": lambda: model.eval()(example), "after": lambda: small.eval()(example)})
    print(", ".join(f"{name} {1e3 * time.median:.1f} ms" for name, time in times.items()))


if __name__ == "__main__":
    main()
