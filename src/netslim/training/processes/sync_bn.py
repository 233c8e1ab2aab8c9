"""BatchNorm over the images of all processes: on GPUs torch's own, and one for CPUs, for which torch has none.

The network is left as it is: inside the context its calls of `batch_norm` are computed in another way.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.overrides import TorchFunctionMode

from netslim.core.networks.torch_internals import synced_batch_norm
from netslim.core.processes.distributed import World


class SyncedBatchNorm(TorchFunctionMode):
    """Context in which a training BatchNorm normalises with mean and variance over the batches of all processes.

    The gradient goes through these statistics, as it does with one process and the whole batch (Ioffe & Szegedy 2015,
    section 3). Running statistics come out equal everywhere. A process may have no images.

    Args:
        world: the processes; all of them must run the same network at the same time.
    """

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Runs `func`, or what replaces it."""
        return (self._batch_norm if func is F.batch_norm else func)(*args, **(kwargs or {}))

    def _batch_norm(
        self,
        x: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        if not training:
            return F.batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps)
        group = self._world.steps
        if group is not None and torch_has_one(x.device):
            return synced_batch_norm(x, running_mean, running_var, weight, bias, momentum, eps, group=group)
        count, mean, variance = _statistics(x.detach(), self._world)
        if running_mean is not None and running_var is not None:
            running_mean.lerp_(mean.to(running_mean), momentum)
            running_var.lerp_((variance * count / (count - 1).clamp(min=1)).to(running_var), momentum)
        statistics = Statistics(count.float(), mean.float(), variance.float(), eps, self._world)
        y: Tensor = _Normalise.apply(x, weight, bias, statistics)
        return y


def torch_has_one(device: torch.device) -> bool:
    """Whether torch itself has a BatchNorm over several processes for a device: for GPUs."""
    return device.type == "cuda"


@dataclass(frozen=True, eq=False)
class Statistics:
    """What is normalised with: values per channel, mean and biased variance (C,), what is added to it, and of whom."""

    count: Tensor
    mean: Tensor
    variance: Tensor
    eps: float
    world: World


def _statistics(x: Tensor, world: World) -> tuple[Tensor, Tensor, Tensor]:
    """Values per channel, mean and biased variance of x (N, C, ...) over all processes; the last two (C,), float64."""
    count, channels = x.numel() // x.shape[1], x.shape[1]
    sums = torch.zeros(2 * channels + 1, dtype=torch.float64, device=x.device)
    if count:
        variance, mean = (part.double() for part in torch.var_mean(x.float(), _over(x), correction=0))
        sums[0], sums[1 : channels + 1], sums[channels + 1 :] = count, count * mean, count * (variance + mean.square())
    total, first, second = torch.split(world.sum_(sums), [1, channels, channels])
    mean = first / total
    return total, mean, (second / total - mean.square()).clamp_(min=0)


class _Normalise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        over: Statistics,
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.over = over
        return F.batch_norm(x, over.mean, over.variance, weight, bias, False, 0.0, over.eps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (x, weight), over = ctx.saved_tensors, ctx.over
        gradient, shape = gradients[0].float(), (1, -1) + (1,) * (x.dim() - 2)
        inverse = (over.variance + over.eps).rsqrt()
        normal = (x.float() - over.mean.view(shape)) * inverse.view(shape)
        own = torch.stack([gradient.sum(_over(x)), (gradient * normal).sum(_over(x))])
        means = over.world.sum_(own.clone()) / over.count
        scale = inverse if weight is None else inverse * weight.float()
        for_x = (gradient - means[0].view(shape) - normal * means[1].view(shape)) * scale.view(shape)
        for_weight, for_bias = (None, None) if weight is None else (own[1].to(weight), own[0].to(weight))
        return for_x.to(x.dtype), for_weight, for_bias, None


def _over(x: Tensor) -> list[int]:
    """All dimensions but the channels'."""
    return [dim for dim in range(x.dim()) if dim != 1]
