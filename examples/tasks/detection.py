"""Detection: torchvision's SSDLite with its losses and its post-processing, whole, at half of its MACs.

python examples/tasks/detection.py [--steps N] [--onnx FILE]
"""

import argparse
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision.models.detection import ssdlite320_mobilenet_v3_large
from torchvision.ops import box_iou

import netslim
from netslim.cost import measure_latency

SIDE = 128
Targets = list[dict[str, Tensor]]


def drawn(count: int, seed: int) -> tuple[list[Tensor], Targets]:
    """Noisy images (3, 128, 128) of up to three discs (1) and squares (2), with their boxes."""
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    images, targets = [], []
    for _ in range(count):
        image, boxes, labels = torch.rand(3, SIDE, SIDE, generator=generator) * 0.4, [], []
        for _ in range(1 + int(torch.randint(3, (), generator=generator))):
            cx, cy = (int(torch.randint(24, SIDE - 24, (), generator=generator)) for _ in range(2))
            radius, kind = (int(torch.randint(*ends, (), generator=generator)) for ends in ((10, 24), (1, 3)))
            away = ((x - cx) ** 2 + (y - cy) ** 2).sqrt() if kind == 1 else torch.maximum(abs(x - cx), abs(y - cy))
            image[:, away < radius] = torch.rand(3, 1, generator=generator) * 0.6 + 0.4
            boxes.append([cx - radius, cy - radius, cx + radius, cy + radius])
            labels.append(kind)
        images.append(image)
        targets.append({"boxes": torch.tensor(boxes).float(), "labels": torch.tensor(labels)})
    return images, targets


class Dense(nn.Module):
    """The part of the detector whose work does not depend on values: logits and offsets of every place."""

    def __init__(self, detector: nn.Module) -> None:
        super().__init__()
        self.backbone, self.head = detector.backbone, detector.head

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Shape: (N, 3, 128, 128) -> (N, places, 4) and (N, places, classes)."""
        outputs: dict[str, Tensor] = self.head([*self.backbone(images).values()])
        return outputs


def train(model: nn.Module, steps: int, rate: float, strength: float = 0.0) -> None:
    """torchvision's detectors give their losses in training; the penalty's lines go around the optimizer's step."""
    optimizer = torch.optim.Adam(model.parameters(), rate)
    penalty = netslim.penalty(model, "l1", strength=strength) if strength else None
    for step in range(steps):
        loss = sum(model.train()(*drawn(8, seed=step)).values())
        optimizer.zero_grad()
        loss.backward()
        if penalty:
            penalty.before_step_()
        optimizer.step()
        if penalty:
            penalty.after_step_()


@torch.no_grad()
def f1(model: nn.Module) -> float:
    """Of the boxes with a score above 0.4 on new images: right class, and an overlap of more than a half."""
    images, targets = drawn(32, seed=1_000_000)
    right = found = wanted = 0
    for own, target in zip(model.eval()(images), targets, strict=True):
        sure = own["scores"] > 0.4
        boxes, labels = own["boxes"][sure], own["labels"][sure]
        hits = (box_iou(boxes, target["boxes"]) > 0.5) & (labels[:, None] == target["labels"])
        right += int(hits.any(0).sum())
        found, wanted = found + len(boxes), wanted + len(target["boxes"])
    return 2 * right / max(found + wanted, 1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains with a penalty, prunes, fine-tunes, exports, and prints what it did to the metric and to the time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=400, help="of training, and of fine-tuning")
    parser.add_argument("--onnx", default="detection.onnx")
    options = parser.parse_args(arguments)
    torch.manual_seed(0)
    model = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=3)
    model.transform.min_size, model.transform.max_size = (SIDE,), SIDE
    train(model, options.steps, rate=1e-3, strength=1e-4)
    print(f"F1 before {f1(model):.3f}")

    plan = netslim.plan(model, drawn(2, seed=0), target_macs=0.5)  # images and targets: losses are followed, too
    small = netslim.apply(model, plan)
    print(f"F1 right after {f1(small):.3f}, MACs {plan.before.macs:,} -> {plan.after.macs:,}")
    train(small, options.steps, rate=5e-4)
    print(f"F1 fine-tuned {f1(small):.3f}")

    images = drawn(2, seed=0)[0]
    # ONNX: up to where boxes are chosen; how many there are depends on values, which torch's exporter does not take
    written = netslim.export(Dense(small), torch.stack(images), options.onnx)
    print(f"{written.path}: within {written.difference:.0e} of what the network gives before boxes are chosen")
    with torch.inference_mode():
        times = measure_latency({"before": lambda: model.eval()(images), "after": lambda: small.eval()(images)})
    print(", ".join(f"{name} {1e3 * time.median:.1f} ms" for name, time in times.items()))


if __name__ == "__main__":
    main()
