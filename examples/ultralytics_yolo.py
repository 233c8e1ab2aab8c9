"""Network slimming of an Ultralytics YOLO: sparsity training, pruning to half of the MACs, fine-tuning, ONNX.

For those who have it: `pip install ultralytics`, which is under AGPL-3.0. netslim neither needs nor contains it.

    python examples/ultralytics_yolo.py yolov8n.pt coco8.yaml [--epochs N] [--imgsz PIXELS] [--onnx FILE]

The first name may be a configuration, too (`yolo11n.yaml`): then everything begins with random weights.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

import netslim

STRENGTH = 1e-4
TARGET_MACS = 0.5


def slim(yolo: Any) -> None:
    """Makes the training of a `YOLO` take the penalty along; the scales are reported on after each epoch."""
    penalties: list[Any] = []

    def begin(trainer: Any) -> None:
        penalty = netslim.penalty(trainer.model, "l1", strength=STRENGTH, optimizer=trainer.optimizer)
        penalties.append(penalty.attach_())

    yolo.add_callback("on_train_start", begin)
    yolo.add_callback("on_train_epoch_end", lambda _: print(penalties[-1].report()))
    yolo.add_callback("on_train_end", lambda _: penalties[-1].remove())


def pruned(network: nn.Module, images: torch.Tensor) -> nn.Module:
    """The network at half of its MACs, proven to compute what the masked one does."""
    network = network.float().cpu().train()  # in eval mode the head also makes boxes
    for parameter in network.parameters():
        parameter.requires_grad_(True)
    plan = netslim.plan(network, images, target_macs=TARGET_MACS)
    print(f"MACs {plan.before.macs:,} -> {plan.after.macs:,}", *plan.left_alone, sep="\n")
    small = netslim.apply(network, plan)
    print("masked to rebuilt, largest difference:", netslim.verify(network, small, images).max_difference)
    return small


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains, prunes, fine-tunes and exports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="?", default="yolov8n.pt")
    parser.add_argument("data", nargs="?", default="coco8.yaml")
    parser.add_argument("--epochs", type=int, default=20, help="of training, and of fine-tuning")
    parser.add_argument("--imgsz", type=int, default=640)
    parser.add_argument("--onnx", default="yolo.onnx")
    options = parser.parse_args(arguments)
    try:
        from ultralytics import YOLO
        from ultralytics.models.yolo.detect import DetectionTrainer
    except ImportError as error:
        raise SystemExit("this example needs Ultralytics: pip install ultralytics (AGPL-3.0)") from error

    settings = {"data": options.data, "epochs": options.epochs, "imgsz": options.imgsz}
    images = torch.zeros(2, 3, options.imgsz, options.imgsz)
    yolo = YOLO(options.weights)
    slim(yolo)
    print(f"mAP50-95 before {yolo.train(**settings).box.map:.3f}")
    small = pruned(yolo.model, images)

    class SmallTrainer(DetectionTrainer):  # type: ignore[misc]
        """Trains the network at hand, where Ultralytics would build the unpruned one from its configuration."""

        def get_model(self, *_: Any, **__: Any) -> nn.Module:
            """The pruned network."""
            return small

    tuned = YOLO(options.weights)
    print(f"mAP50-95 fine-tuned {tuned.train(trainer=SmallTrainer, **settings).box.map:.3f}")
    network = tuned.model.float().cpu().eval()
    network.model[-1].dynamic = True  # else the head keeps the anchors of one batch size
    written = netslim.export(network, images, options.onnx)
    print(f"{written.path}: {written.params:,} parameters, within {written.difference:.0e} of the network")


if __name__ == "__main__":
    main()
