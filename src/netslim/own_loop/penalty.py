"""The penalty of one's own loop, with weights that follow from what pruning frees."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from netslim.core.errors import UsageError
from netslim.core.networks.wrappers import unwrapped
from netslim.pruning.freed_macs import freed_macs
from netslim.training.penalties import ScalePenalty, scale_penalty


def penalty(
    model: nn.Module,
    name: str = "l1",
    *,
    strength: float,
    optimizer: torch.optim.Optimizer | None = None,
    weights: Mapping[str, Tensor] | str | None = None,
    example: Any = None,
    **options: Any,
) -> ScalePenalty:
    """A penalty on a network's scales, for a training loop of your own: it is what makes channels removable.

    Penalised are the scales of all BatchNorms, InstanceNorms and GroupNorms of several groups, of any number of
    dimensions: without an example it is not known which channels can go. Weights "macs" leave out those that can't.
    There should be no weight decay on them beside another penalty than `l1`.

    >>> import torch, netslim
    >>> _ = torch.manual_seed(0)
    >>> layers = torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.ReLU(), torch.nn.Flatten()
    >>> model = torch.nn.Sequential(*layers, torch.nn.Linear(288, 10))
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    >>> penalty = netslim.penalty(model, "proximal", strength=0.5, optimizer=optimizer)
    >>> for _ in range(10):
    ...     images, labels = torch.randn(4, 3, 8, 8), torch.randint(10, (4,))
    ...     optimizer.zero_grad()
    ...     torch.nn.functional.cross_entropy(model(images), labels).backward()
    ...     penalty.before_step_()
    ...     optimizer.step()
    ...     penalty.after_step_()
    >>> f"{penalty.zeros():.0%} of the scales are zero"
    '100% of the scales are zero'
    >>> penalty.report().ready  # to prune: all are zero, none stands out
    False

    `scaler.unscale_(optimizer)` comes before `before_step_`. A network has one penalty; `penalty.remove()` ends it.

    Args:
        model: its scales are changed in training; may be wrapped (DistributedDataParallel, torch.compile).
        name: `l1` (a subgradient: Liu et al. 2017), `proximal` (L1 with exact zeros), or `polarization` (some to zero,
            the others away from it: Zhuang et al. 2020).
        strength: what the penalty's sum is multiplied with.
        optimizer: that takes the steps: SGD, Adam or AdamW of torch. With others, and for `l1`, None will do; see
            `ScalePenalty.after_step_`. Where it is known, calls in a wrong order are found.
        weights: by name of a BatchNorm, a factor per scale; or "macs": in proportion to the MACs that go with a channel
            at `example`, on average 1. None: all 1.
        example: an input as for `plan`, for weights "macs".
        **options: see `PenaltyOptions`: `warmup` and `schedule` (call `advance` before every step, then), and what the
            penalty has, like `polarity`.

    Raises:
        UsageError: a network without scales, an unknown penalty or option, a strength below 0, or an optimizer that has
            none of the scales or whose step sizes are not known.
    """
    if isinstance(weights, str):
        weights = _weights(model, weights, example)
    return scale_penalty(model, name, strength=strength, optimizer=optimizer, weights=weights, **options)


def _weights(model: nn.Module, name: str, example: Any) -> dict[str, Tensor]:
    if name != "macs":
        raise UsageError(f"weights '{name}': give 'macs', a tensor for each BatchNorm by its name, or None")
    if example is None:
        raise UsageError("weights 'macs' are counted at an input: give `example`, as for plan()")
    return freed_macs(unwrapped(model), example)
