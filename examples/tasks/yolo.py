"""A YOLO-like detector (C2f, SPPF, decoupled head) written here, pruned as it is: no block is rewritten for it.

python examples/tasks/yolo.py [--steps N] [--onnx FILE]
"""

import argparse
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import box_iou, nms

import netslim
from detection import SIDE, Targets, drawn
from netslim.cost import measure_latency

STRIDES = (8, 16)


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, BatchNorm, SiLU."""
    layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.SiLU())


class C2f(nn.Module):
    """Splits its channels, adds residual blocks one after the other, and joins all that arose on the way."""

    def __init__(self, inputs: int, outputs: int, depth: int) -> None:
        super().__init__()
        half = outputs // 2
        self.first, self.last = conv(inputs, outputs, 1), conv(half * (2 + depth), outputs, 1)
        self.blocks = nn.ModuleList(nn.Sequential(conv(half, half), conv(half, half)) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        """Shape: (N, inputs, H, W) -> (N, outputs, H, W)."""
        parts = [*self.first(x).chunk(2, 1)]
        for block in self.blocks:
            parts.append(parts[-1] + block(parts[-1]))
        joined: Tensor = self.last(torch.cat(parts, 1))
        return joined


class SPPF(nn.Module):
    """Three poolings in a row, joined with what they are of."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.last = conv(width, width // 2, 1), conv(width * 2, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Shape: (N, width, H, W), kept."""
        parts = [self.first(x)]
        for _ in range(3):
            parts.append(F.max_pool2d(parts[-1], 5, 1, 2))
        joined: Tensor = self.last(torch.cat(parts, 1))
        return joined


class Yolo(nn.Module):
    """Two levels, each with a branch for classes and one for the four sides of a box, in units of the stride."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv(3, 16, 3, 2), conv(16, 32, 3, 2), C2f(32, 32, 1))
        self.fine = nn.Sequential(conv(32, 64, 3, 2), C2f(64, 64, 2))
        self.coarse = nn.Sequential(conv(64, 128, 3, 2), C2f(128, 128, 1), SPPF(128))
        self.up = C2f(192, 64, 1)
        self.kinds = nn.ModuleList(nn.Sequential(conv(w, 64), nn.Conv2d(64, classes, 1)) for w in (64, 128))
        self.sides = nn.ModuleList(nn.Sequential(conv(w, 64), nn.Conv2d(64, 4, 1)) for w in (64, 128))
        for branch in self.kinds:
            nn.init.constant_(branch[-1].bias, -4.0)  # objects are rare

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Shape: (N, 3, H, W) -> logits (N, places, classes), boxes (N, places, 4) in pixels."""
        fine = self.fine(self.stem(images))
        coarse = self.coarse(fine)
        maps = [self.up(torch.cat([F.interpolate(coarse, scale_factor=2.0), fine], 1)), coarse]
        logits = [branch(own).flatten(2) for branch, own in zip(self.kinds, maps, strict=True)]
        boxes = []
        for branch, own, stride in zip(self.sides, maps, STRIDES, strict=True):
            left, top, right, bottom = F.softplus(branch(own)).mul(stride).flatten(2).unbind(1)
            x, y = centres(own.shape[-2:], stride).to(own).unbind(-1)
            boxes.append(torch.stack([x - left, y - top, x + right, y + bottom], 1))
        return torch.cat(logits, 2).mT, torch.cat(boxes, 2).mT


def centres(size: Sequence[int], stride: int) -> Tensor:
    """The middle of every cell of a map, (places, 2)."""
    y, x = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
    return (torch.stack([x, y], -1).flatten(0, 1) + 0.5) * stride


def loss_of(logits: Tensor, boxes: Tensor, targets: Targets) -> Tensor:
    """Cells whose middle is near that of an object are the object's: cross-entropy, and one minus the overlap."""
    places = torch.cat([centres((SIDE // s, SIDE // s), s) for s in STRIDES])
    wanted, overlaps = torch.zeros_like(logits), []
    for number, target in enumerate(targets):
        corners = target["boxes"].view(-1, 2, 2)
        middles, sizes = corners.mean(1), corners[:, 1] - corners[:, 0]
        away = (places[:, None] - middles).abs().amax(-1) / sizes.amax(-1)
        cells, owners = torch.where((away < 0.3) & (away == away.amin(1, keepdim=True)))
        wanted[number, cells, target["labels"][owners] - 1] = 1
        overlaps.append(box_iou(boxes[number, cells], target["boxes"]).gather(1, owners[:, None]).flatten())
    found = torch.cat(overlaps)
    return F.binary_cross_entropy_with_logits(logits, wanted, reduction="sum") / len(found) + (1 - found).mean()


def train(model: nn.Module, steps: int, rate: float, strength: float = 0.0) -> None:
    """The penalty's lines go around the optimizer's step."""
    optimizer = torch.optim.Adam(model.parameters(), rate)
    penalty = netslim.penalty(model, "l1", strength=strength) if strength else None
    for step in range(steps):
        images, targets = drawn(8, seed=step)
        loss = loss_of(*model.train()(torch.stack(images)), targets)
        optimizer.zero_grad()
        loss.backward()
        if penalty:
            penalty.before_step_()
        optimizer.step()


@torch.no_grad()
def f1(model: nn.Module) -> float:
    """Of the boxes with a score above 0.4 on new images: right class, and an overlap of more than a half."""
    images, targets = drawn(32, seed=1_000_000)
    right = found = wanted = 0
    for logits, boxes, target in zip(*model.eval()(torch.stack(images)), targets, strict=True):
        scores, labels = logits.sigmoid().max(1)
        sure = torch.where(scores > 0.4)[0]
        sure = sure[nms(boxes[sure], scores[sure], 0.5)]
        hits = (box_iou(boxes[sure], target["boxes"]) > 0.5) & (labels[sure, None] + 1 == target["labels"])
        right += int(hits.any(0).sum())
        found, wanted = found + len(sure), wanted + len(target["boxes"])
    return 2 * right / max(found + wanted, 1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains with a penalty, prunes, fine-tunes, exports, and prints what it did to the metric and to the time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=400, help="of training, and of fine-tuning")
    parser.add_argument("--onnx", default="yolo.onnx")
    options = parser.parse_args(arguments)
    torch.manual_seed(0)
    example = torch.stack(drawn(2, seed=0)[0])
    model = Yolo(classes=2)
    train(model, options.steps, rate=2e-3, strength=1e-3)
    print(f"F1 before {f1(model):.3f}")

    plan = netslim.plan(model, example, target_macs=0.5)
    small = netslim.apply(model, plan)
    print(f"F1 right after {f1(small):.3f}, MACs {plan.before.macs:,} -> {plan.after.macs:,}")
    train(small, options.steps, rate=1e-3)
    print(f"F1 fine-tuned {f1(small):.3f}")

    written = netslim.export(small, example, options.onnx)
    print(f"{written.path}: within {written.difference:.0e} of the network")
    with torch.inference_mode():
        times = measure_latency({"before": lambda: model.eval()(example), "after": lambda: small.eval()(example)})
    print(", ".join(f"{name} {1e3 * time.median:.1f} ms" for name, time in times.items()))


if __name__ == "__main__":
    main()
