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


def detector(side: int = SIDE) -> nn.Module:
    """SSDLite for the two classes; torchvision's transform brings every image to `side`."""
    model = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=3)
    model.transform.fixed_size = (side, side)
    return model


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
def mean_average_precision(model: nn.Module, count: int = 64) -> float:
    """mAP at an overlap of 0.5 (every point of the curve, as VOC has it since 2010), on images no training saw."""
    images, targets = drawn(count, seed=1_000_000)
    found = [own for start in range(0, count, 8) for own in model.eval()(images[start : start + 8])]
    return sum(average_precision(found, targets, kind) for kind in (1, 2)) / 2


def average_precision(found: Targets, targets: Targets, kind: int) -> float:
    """Area under precision over recall of one class; of several boxes on one object the surest is right."""
    judged: list[tuple[float, bool]] = []  # of every box that was found: its score, and whether it is right
    for own, target in zip(found, targets, strict=True):
        mine, free = own["labels"] == kind, target["boxes"][target["labels"] == kind]
        for number in own["scores"][mine].argsort(descending=True):
            score, box = float(own["scores"][mine][number]), own["boxes"][mine][number]
            overlaps = box_iou(box[None], free)[0]
            right = bool((overlaps > 0.5).any())
            judged.append((score, right))
            if right:
                free = free[torch.arange(len(free)) != overlaps.argmax()]
    hits = torch.tensor([right for _, right in sorted(judged, key=lambda f: -f[0])]).cumsum(0)
    precision = hits / torch.arange(1, len(hits) + 1)
    best = precision.flip(0).cummax(0).values.flip(0)  # the best at this recall or above
    wanted = sum(int((target["labels"] == kind).sum()) for target in targets)
    return float((best * hits.diff(prepend=torch.zeros(1))).sum() / wanted)


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains with a penalty, prunes, fine-tunes, exports, and prints what it did to the metric and to the time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=400, help="of training, and of fine-tuning")
    parser.add_argument("--onnx", default="detection.onnx")
    options = parser.parse_args(arguments)
    torch.manual_seed(0)
    model = detector()
    train(model, options.steps, rate=1e-3, strength=1e-4)
    print(f"mAP before {mean_average_precision(model):.3f}")

    plan = netslim.plan(model, drawn(2, seed=0), target_macs=0.5)  # images and targets: losses are followed, too
    small = netslim.apply(model, plan)
    print(f"mAP right after {mean_average_precision(small):.3f}, MACs {plan.before.macs:,} -> {plan.after.macs:,}")
    train(small, options.steps, rate=5e-4)
    print(f"mAP fine-tuned {mean_average_precision(small):.3f}")

    images = drawn(2, seed=0)[0]
    # ONNX: up to where boxes are chosen; how many there are depends on values, which torch's exporter does not take
    written = netslim.export(Dense(small), torch.stack(images), options.onnx)
    print(f"{written.path}: within {written.difference:.0e} of what the network gives before boxes are chosen")
    with torch.inference_mode():
        times = measure_latency({"before": lambda: model.eval()(images), "after": lambda: small.eval()(images)})
    print(", ".join(f"{name} {1e3 * time.median:.1f} ms" for name, time in times.items()))


if __name__ == "__main__":
    main()
