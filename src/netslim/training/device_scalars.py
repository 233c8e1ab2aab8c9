"""The numbers of a training step that change from one step to the next, where a recorded step can read them."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from netslim.training.penalties import Penalty


class DeviceScalars:
    """Learning rate and strength of the penalty as tensors of one value each on the device.

    What the host knows stays where it is, in the optimizer's groups and in the penalty. Updating them launches two
    kernels and waits for nothing.

    Args:
        optimizer: whose groups have one learning rate.
        penalty: of the step.
        device: of the network.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, penalty: Penalty, device: torch.device) -> None:
        self._optimizer = optimizer
        self._penalty = penalty
        # A GPU's fused SGD reads its rate as float32; on a CPU float64 gives the same bits as a Python number.
        self._rate = torch.zeros((), dtype=torch.float32 if device.type == "cuda" else torch.float64, device=device)
        self._factor = torch.zeros((), dtype=torch.float64, device=device)

    def update(self) -> None:
        """Puts the numbers of the next step in."""
        self._rate.fill_(self._optimizer.param_groups[0]["lr"])
        self._factor.fill_(self._penalty.factor)

    @contextmanager
    def read(self) -> Iterator[None]:
        """Inside, optimizer and penalty read these instead of their own numbers."""
        groups = self._optimizer.param_groups
        rates = [group["lr"] for group in groups]
        try:
            self._penalty.device_factor = self._factor
            for group in groups:
                group["lr"] = self._rate
            yield
        finally:
            self._penalty.device_factor = None
            for group, rate in zip(groups, rates, strict=True):
                group["lr"] = rate
