"""How many channels each layer can spare, by what the outputs lose when channels of that layer alone go.

No labels are needed: the unpruned network says what the outputs should be. Each group is cut alone, to three widths (Li
et al. 2017, section 3.2, "sensitivity"); between them and beyond, what is lost is a power of the number of channels
gone, and the losses of several groups add up. Then a channel's score is what the outputs lose with it, and one ranking
of these per MAC spends a budget where least is lost.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from netslim.core.errors import ArgumentError, DataError, UsageError, either
from netslim.core.networks.example import Inputs, TensorSpec, tensors_of
from netslim.core.networks.modes import evaluation_mode
from netslim.core.networks.running import running
from netslim.core.protocols import Budget, PrunePlan
from netslim.dependency.meta import duplicate
from netslim.pruning.apply import rebuild
from netslim.pruning.budget.cost_model import CostModel
from netslim.pruning.budget.solve import Outcome

ALLOCATIONS = ("scores", "sensitivity")
IMAGES = 256  # that are looked at
Progress = Callable[[int, int], object]  # is told how many runs are behind, and how many there are
SHARES = (0.3, 0.6, 0.85)  # of a group's channels that go; a curve that ends at 0.6 says too little of deep cuts
_POWERS = (1.05, 8.0)  # of the number of channels gone, before the first point and after the last
_APART = 1e-6  # by which each further channel costs more at least, so that those of a group stay in their order
_NOTHING = 1e-12  # as good as no loss
_BLANK = Budget(kind="percent", asked="", target=0, reached=0, dense=0)


def check_allocation(allocation: str, per_layer: bool, batches: object) -> None:
    """Raises UsageError for an unknown one, or one that lacks what it needs."""
    if allocation not in ALLOCATIONS:
        raise ArgumentError("allocation", allocation, f"type {either(ALLOCATIONS)}")
    if allocation == "sensitivity" and per_layer:
        raise UsageError("`per_layer=True` takes the same share of every layer, `allocation='sensitivity'` does not")
    if allocation == "sensitivity" and batches is None:
        raise UsageError(
            "`allocation='sensitivity'` needs images, without labels: pass plan(..., batches=...), or type "
            "`dataset=NAME` on the command line"
        )


def sensitivities(
    model: nn.Module,
    scores: Sequence[Tensor],
    draft: Callable[[Outcome], PrunePlan],
    batches: Iterable[Any] | None,
    progress: Progress,
) -> list[Tensor]:
    """Per group, what the outputs lose with each of its channels, if these go in the order of their scores.

    Losses are squares of what the outputs lack, as shares of the squares of what they should be, each output for
    itself. BatchNorm normalises with a batch's own statistics meanwhile, in both networks: these are put right after
    every pruning.

    Args:
        model: left unchanged.
        scores: per group, one score per channel.
        draft: the plan that an outcome comes to.
        batches: images, alone or with labels, of which the first 256 count.
        progress: called before each run of a network.

    Returns:
        Per group float64 (channels,), above zero; of two channels of a group, the one with the higher score has more.

    Raises:
        DataError: there are fewer than two images in a batch, or what the network makes of them is not finite.
        UsageError: the network does not run on them, or its outputs can't be held against each other.
    """
    trials = [(group, gone) for group, score in enumerate(scores) for gone in _counts(len(score))]
    plans = [draft(Outcome(_alone(group, gone, len(scores)), [], _BLANK)) for group, gone in trials]
    losses = _losses(model, plans, _inputs(batches), progress)
    points: list[list[tuple[int, float]]] = [[] for _ in scores]
    for (group, gone), loss in zip(trials, losses, strict=True):
        points[group].append((gone, loss))
    return [_by_channel(score, curve(own, len(score))) for score, own in zip(scores, points, strict=True)]


def curve(points: Sequence[tuple[int, float]], channels: int) -> Tensor:
    """What each further channel costs, the first to go first; float64 (channels,).

    The loss is a power of the number of channels gone, from point to point, and where a further channel would cost less
    than those before it, all of these cost the same: they had better go together.

    Args:
        points: numbers of channels gone, increasing, with what is lost then; above zero.
        channels: how many there are.
    """
    if not points:
        return torch.ones(channels, dtype=torch.float64)
    known = [(gone, max(loss, _NOTHING)) for gone, loss in points]
    logs = [(math.log(gone), math.log(loss)) for gone, loss in known]
    powers = [(y - y_before) / (x - x_before) for (x_before, y_before), (x, y) in pairwise(logs)] or [2.0]
    ends = [min(max(power, _POWERS[0]), _POWERS[1]) for power in (powers[0], powers[-1])]
    pieces = [known[0], *known]  # each from the one before it to the next
    losses, piece = [0.0], 0
    for gone in range(1, channels + 1):
        while piece < len(known) and gone > known[piece][0]:
            piece += 1
        start, loss = pieces[piece]
        power = ends[0] if piece == 0 else ends[1] if piece == len(known) else powers[piece - 1]
        losses.append(loss * (gone / start) ** power)
    return _from_below(losses) * (1 + _APART * torch.arange(channels))


def _from_below(losses: Sequence[float]) -> Tensor:
    """The steps of the lower convex hull of a curve that begins at zero."""
    corners = list[int]()
    for number, loss in enumerate(losses):
        while len(corners) > 1:
            first, last = corners[-2:]
            if (losses[last] - losses[first]) * (number - last) < (loss - losses[last]) * (last - first):
                break
            corners.pop()
        corners.append(number)
    slopes = [(losses[last] - losses[first]) / (last - first) for first, last in pairwise(corners)]
    widths = torch.tensor([last - first for first, last in pairwise(corners)])
    return torch.tensor(slopes, dtype=torch.float64).repeat_interleave(widths)


def per_cost(losses: Sequence[Tensor], costs: CostModel, kind: str) -> list[Tensor]:
    """What is lost per channel, parameter or MAC that the budget counts; time goes with MACs."""
    if kind == "percent":
        return [*losses]
    prices = costs.per_channel("params" if kind == "params" else "macs")
    return [loss / max(price, 1.0) for loss, price in zip(losses, prices, strict=True)]


def _counts(channels: int) -> list[int]:
    """How many channels are tried to go of so many; none where there is one alone."""
    return sorted({min(max(1, round(share * channels)), channels - 1) for share in SHARES} - {0})


def _alone(group: int, gone: int, groups: int) -> list[int]:
    removed = [0] * groups
    removed[group] = gone
    return removed


def _by_channel(score: Tensor, losses: Tensor) -> Tensor:
    """Losses by the order in which channels go, as one of each channel."""
    found = torch.empty_like(losses)
    found[torch.argsort(score, stable=True)] = losses
    return found


def _inputs(batches: Iterable[Any] | None) -> list[Inputs]:
    """The first images, in their batches; those of one alone say nothing of their statistics."""
    if isinstance(batches, Tensor | Mapping):
        raise DataError("this is one batch, and several are expected: give [batch], or a DataLoader")
    if not isinstance(batches, Iterable):
        raise DataError(f"batches are a DataLoader or a list of them, and this is of type {type(batches).__name__}")
    found, images = list[Inputs](), 0
    for batch in batches:
        inputs = Inputs.of(batch[0] if isinstance(batch, list | tuple) else batch)
        if inputs.batch > 1:
            found.append(inputs)
            images += inputs.batch
        if images >= IMAGES:
            break
    if not found:
        raise DataError("`allocation='sensitivity'` needs batches of two images or more, and there are none")
    return found


def _losses(model: nn.Module, plans: Sequence[PrunePlan], batches: Sequence[Inputs], progress: Progress) -> list[float]:
    """What the outputs lose by each plan, mean over the images."""
    lost, total = list[float](), len(plans) * len(batches)
    batches, layout = _fast(model, batches)
    large = duplicate(model, {}).to(memory_format=layout)
    wanted = [_outputs(large, inputs) for inputs in batches]
    for plan in plans:
        small, lacking = rebuild(model, plan).to(memory_format=layout), 0.0
        for number, (inputs, outputs) in enumerate(zip(batches, wanted, strict=True)):
            progress(len(lost) * len(batches) + number, total)
            lacking += inputs.batch * _lacking(_outputs(small, inputs), outputs)
        lost.append(lacking / sum(inputs.batch for inputs in batches))
    progress(total, total)
    return lost


def _fast(model: nn.Module, batches: Sequence[Inputs]) -> tuple[Sequence[Inputs], torch.memory_format]:
    """Images with their channels last, where a CPU is twice as fast, if the network takes them; else as they are."""
    if all(tensor.device.type == "cpu" for tensor in batches[0].tensors):
        arranged = [inputs.map(_channels_last) for inputs in batches]
        with suppress(Exception):  # one that makes a view of what lies otherwise then
            _outputs(duplicate(model, {}).to(memory_format=torch.channels_last), arranged[0])
            return arranged, torch.channels_last
    return batches, torch.preserve_format


def _channels_last(tensor: Tensor) -> Tensor:
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.dim() == 4 else tensor


def _outputs(network: nn.Module, inputs: Inputs) -> dict[str, Tensor]:
    """What a network of which nothing is used later gives, normalised by the batch's own statistics."""
    with evaluation_mode(network), torch.no_grad(), running(network, inputs.map(TensorSpec.of)):
        for module in network.modules():
            if isinstance(module, _BatchNorm):
                module.training = True  # not train(): that would switch on a dropout that timm keeps inside
        found = tensors_of(inputs.call(network))
    floats = {name: tensor for name, tensor in found.items() if tensor.is_floating_point()}
    if not all(bool(tensor.isfinite().all()) for tensor in floats.values()):
        raise DataError("what the network makes of these images is not finite: are the images, and all weights?")
    return floats


def _lacking(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> float:
    """Squares of what outputs lack, as a share of their own, mean over the outputs."""
    shapes = [{name: tensor.shape for name, tensor in own.items()} for own in (found, wanted)]
    if not wanted or shapes[0] != shapes[1]:
        raise UsageError(
            "`allocation='sensitivity'` holds outputs against each other, and those of this network have no numbers or "
            "change their shapes; type `allocation='scores'`"
        )
    parts = [
        float((found[name].double() - own.double()).square().sum() / own.double().square().sum().clamp(min=1e-30))
        for name, own in wanted.items()
    ]
    return sum(parts) / len(parts)
