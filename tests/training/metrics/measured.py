"""A metric of a few batches."""

from typing import Any

import torch

from netslim.core.processes.distributed import ALONE


def measured(running: Any, batches: list[tuple[torch.Tensor, torch.Tensor]]) -> float:
    for outputs, targets in batches:
        running.update(outputs, targets, len(outputs))
    return float(running.result(ALONE))
