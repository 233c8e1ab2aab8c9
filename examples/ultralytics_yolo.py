"""Network slimming of an Ultralytics YOLO: sparsity training, pruning to half of the MACs, fine-tuning.

For those who have it: `pip install ultralytics`, which is under AGPL-3.0. netslim neither needs nor contains it.

    python examples/ultralytics_yolo.py yolov8n.pt coco8.yaml
"""

from __future__ import annotations

import sys
from typing import Any

import torch

import netslim

STRENGTH = 1e-4
TARGET_MACS = 0.5
EPOCHS = 20


def slim(yolo: Any) -> None:
    """Makes the training of a `YOLO` take the penalty along; the scales are reported on after each epoch."""
    penalties: list[Any] = []

    def begin(trainer: Any) -> None:
        penalty = netslim.penalty(trainer.model, "l1", strength=STRENGTH, optimizer=trainer.optimizer)
        penalties.append(penalty.attach_())

    yolo.add_callback("on_train_start", begin)
    yolo.add_callback("on_train_epoch_end", lambda _: print(penalties[-1].report()))
    yolo.add_callback("on_train_end", lambda _: penalties[-1].remove())


def main(weights: str, data: str) -> None:
    """Trains, prunes and fine-tunes."""
    try:
        from ultralytics import YOLO
        from ultralytics.models.yolo.detect import DetectionTrainer
    except ImportError as error:
        raise SystemExit("this example needs Ultralytics: pip install ultralytics (AGPL-3.0)") from error

    yolo = YOLO(weights)
    slim(yolo)
    yolo.train(data=data, epochs=EPOCHS)

    network = yolo.model.float().cpu().train()  # in eval mode the head also makes boxes
    for parameter in network.parameters():
        parameter.requires_grad_(True)
    plan = netslim.plan(network, torch.zeros(2, 3, 640, 640), target_macs=TARGET_MACS)
    print(plan, *plan.left_alone, sep="\n")
    small = netslim.apply(network, plan)

    class SmallTrainer(DetectionTrainer):  # type: ignore[misc]
        """Trains the network at hand, where Ultralytics would build the unpruned one from its configuration."""

        def get_model(self, *_: Any, **__: Any) -> torch.nn.Module:
            """The pruned network."""
            return small

    YOLO(weights).train(trainer=SmallTrainer, data=data, epochs=EPOCHS)


if __name__ == "__main__":
    main(*(sys.argv[1:] or ("yolov8n.pt", "coco8.yaml")))
