"""Whether images look to a network like those it was trained on: its first BatchNorms remember."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from netslim.core.networks.layer_calls import reads_its_input

FAR = 1.0  # standard deviations that means are off, over the channels: other images of a kind are off by some tenths
SPREAD = 4.0  # factor between variances that is no chance any more


class FirstNorm:
    """What arrives at the first BatchNorm that works in a network, against the statistics that it keeps."""

    def __init__(self) -> None:
        self._name = ""
        self._norm: Any = None
        self._count = 0
        self._sum = self._squares = torch.zeros(())

    @contextmanager
    def watched(self, network: nn.Module) -> Iterator[None]:
        """Sees the runs inside."""
        handles = [
            module.register_forward_pre_hook(self._seen(name), with_kwargs=True)
            for name, module in network.named_modules()
            if isinstance(module, _BatchNorm) and _remembers(module) and reads_its_input(module)
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def note(self) -> str | None:
        """What is odd about the images, with figures; None if nothing is, or nothing is known."""
        if self._count < 2:
            return None
        mean = self._sum / self._count
        variance = (self._squares / self._count - mean.square()).clamp(min=0)
        old = _share_of_the_start(self._norm)
        off, ratio = _distance(self._norm, mean, variance)
        for found in ((off, ratio), _distance(self._norm, mean * (1 - old), variance * (1 - old) + old)):
            if found[0] <= FAR and 1 / SPREAD <= found[1] <= SPREAD:
                return None
        return (
            f"the images are unlike those that the network was trained on: at its first BatchNorm ('{self._name}') "
            f"means are off by {off:.1f} standard deviations, and variances are {ratio:.2g} times those that it "
            f"remembers; are they normalised and sized as in training?"
        )

    def _seen(self, name: str) -> Callable[[Any, Any, Any], None]:
        def hook(norm: Any, args: Any, kwargs: Any) -> None:
            if not self._name:
                self._name, self._norm = name, norm
            if name == self._name:
                rows = (args[0] if args else kwargs["input"]).detach().transpose(0, 1).flatten(1).double()
                self._sum = self._sum.to(rows.device) + rows.sum(1)
                self._squares = self._squares.to(rows.device) + rows.square().sum(1)
                self._count += rows.shape[1]

        return hook


def _remembers(norm: _BatchNorm) -> bool:
    return norm.running_mean is not None and norm.running_var is not None


def _distance(norm: Any, mean: Tensor, variance: Tensor) -> tuple[float, float]:
    """Standard deviations that means are off by, and the factor between variances, over the channels that say much."""
    kept_mean, kept_variance = norm.running_mean.double(), norm.running_var.double()
    live = kept_variance > 1e-3 * kept_variance.max()
    off = float(((mean - kept_mean).square() / kept_variance)[live].mean().sqrt())
    return off, float((variance[live].clamp(min=1e-12) / kept_variance[live]).log().median().exp())


def _share_of_the_start(norm: Any) -> float:
    """How much of a BatchNorm's statistics is still what it began with (0 and 1), if they are a moving average."""
    seen = norm.num_batches_tracked
    if seen is None or norm.momentum is None:
        return 0.0
    return float((1 - norm.momentum) ** int(seen))
