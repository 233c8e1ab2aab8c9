"""What removed channels still gave, as constants in the layers that follow.

Where the penalty has brought a channel's BatchNorm scale to zero, the channel still gives its shift, through the
activation, to everything that reads it. That is a constant: the mean of the next BatchNorm or the next bias can take it
in, and the network computes on what it has learnt to compute on. (Liu et al. 2017 throw it away.) It is exact where
every position reads the same: at the border of a convolution that pads with zeros a part of it is missing.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from netslim.core.errors import NetslimWarning, UsageError
from netslim.core.networks.decisions import Decisions
from netslim.core.networks.example import Inputs, TensorSpec, random_like
from netslim.core.networks.layer_calls import gives_its_bias, reads_its_input
from netslim.core.networks.modes import evaluation_mode
from netslim.core.networks.replay import replaying
from netslim.core.networks.running import running
from netslim.core.networks.wrappers import plain, unwrapped
from netslim.core.protocols import plan_of
from netslim.dependency.slicing import first_changed
from netslim.dependency.trace import Place
from netslim.pruning.resolve_plan import resolve
from netslim.pruning.verify import compare, outputs_of, recorded_outputs, silenced

_ROUNDING = 32  # in units of the type's precision at a layer's largest value: what is as good as no difference
_CONSTANT = 1000  # likewise: what a constant may differ by from image to image
_STEADY = 1 / 8  # share of the positions that have a constant, however much of the others padding reaches


@dataclass(frozen=True, kw_only=True)
class Absorbed:
    """What one layer took in.

    Attributes:
        name: of the BatchNorm, convolution or linear layer.
        constant: the largest constant of a channel, as an absolute value.
        border: the largest absolute error that stays at a position which zero padding reaches; 0 up to rounding where
            none does.
    """

    name: str
    constant: float
    border: float


@dataclass(frozen=True, kw_only=True)
class NotAbsorbed:
    """Channels of one layer or output whose difference stays, all of it or a part: how many, and why."""

    name: str
    channels: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Absorption:
    """What became of the constants.

    Attributes:
        layers: those that took something in, in order of execution.
        left: channels whose difference is no constant, and outputs behind the last layer that could take one in.
        before, after: largest absolute difference of an output to the unpruned network whose removed channels have
            scale zero and keep their shift; on random images.
    """

    layers: tuple[Absorbed, ...]
    left: tuple[NotAbsorbed, ...]
    before: float
    after: float

    @property
    def border(self) -> float:
        """The largest error that a layer keeps at the border of its input."""
        return max((layer.border for layer in self.layers), default=0.0)


def absorb_(small: nn.Module, model: nn.Module, example: Any) -> Absorption:
    """Adds to means and biases of a pruned network what the removed channels' BatchNorm shifts contributed.

    Both networks run once, in eval mode, on two random images. In order of execution, every BatchNorm's input and every
    bias's output is held against that of the unpruned network whose removed channels have scale zero: the median over
    all positions of the difference goes into the running mean or the bias, and what follows sees the unpruned network's
    values. A channel whose difference is not the same in both images is left. No bias is created, and no data is
    needed; where there is data, `recalibrate_` after this measures the means better than the border allows.

    Behind gates (squeeze-excitation) "constant" is meant at the unpruned network's gates: what a removed channel still
    changes in a gate is taken in at the gate's own biases, where it is a constant, and left where it is not.

    Args:
        small: what `apply(model, plan)` returned, once, before any training; changed in place.
        model: the network before this pruning, left unchanged.
        example: an input (N, C, H, W), or several as for `plan`, whose shapes alone are used: how far borders reach
            depends on them.

    Raises:
        UsageError: `small` was not pruned, or not from `model`.

    >>> import torch, netslim
    >>> model = netslim.create_model("resnet", depth=11, num_classes=10)
    >>> norm = model.get_submodule("layer1.0.bn2")
    >>> _ = norm.weight.data[:8].zero_(), norm.bias.data[:8].fill_(1)  # what a penalty leaves: no scale, but a shift
    >>> images = torch.randn(2, 3, 16, 16)
    >>> small = netslim.apply(model, netslim.plan(model, images, percent=0.01))
    >>> absorbed = netslim.absorb_(small, model, images)
    >>> len(absorbed.layers), absorbed.after < absorbed.before
    (1, True)
    """
    small, model = unwrapped(small), plain(model)
    if (plan := plan_of(small)) is None:
        raise UsageError("this network was not pruned, so that there is nothing to absorb; give what apply() returned")
    resolved = resolve(model, plan)
    sites = _sites(small, resolved.keeps)
    _check_weights(small, model, resolved.keeps, sites)
    reference = silenced(model, resolved.parts, shift=True)
    given = Inputs.of(example)
    inputs = random_like(given, batch=2 if given.is_single and plan.inputs is None else None)
    with running(small, inputs.map(TensorSpec.of)), evaluation_mode(reference), evaluation_mode(small), torch.no_grad():
        with _watching(reference, sites, _Site.record):
            decided = recorded_outputs(reference, inputs) if resolved.decides else None
            decisions, expected = decided or (None, outputs_of(reference, inputs, watched=True))
        before = _deciding_alike(small, inputs, decisions)
        with _watching(small, sites, _Site.compare):
            found = _deciding_alike(small, inputs, decisions)
        layers, left = _take_in_(sites, uneven=resolved.is_uneven)
        left += _past_all(expected, found)
        after = _deciding_alike(small, inputs, decisions)
    lacks = [max(output.difference for output in compare(expected, found)) for found in (before, after)]
    return Absorption(layers=tuple(layers), left=tuple(left), before=lacks[0], after=lacks[1])


def _deciding_alike(network: nn.Module, inputs: Inputs, decisions: Decisions | None) -> dict[str, Tensor]:
    """What a network gives, where it decides by values as was decided before, so that shapes are the same."""
    if decisions is None:
        return outputs_of(network, inputs, watched=True)
    with torch.inference_mode(False), replaying(inputs.tensors, decisions):
        return outputs_of(network, inputs, watched=True)


def _check_weights(small: nn.Module, model: nn.Module, keeps: Mapping[Place, Tensor], sites: list[_Site]) -> None:
    """Raises UsageError where there are no weights; warns where they are not the parts that stay of `model`."""
    if any(parameter.is_meta for parameter in small.parameters()):
        raise UsageError(f"{type(small).__name__} is on the meta device: load its weights, then repair them")
    shifts = {f"{site.name}.{'running_mean' if site.is_norm else 'bias'}" for site in sites}  # constants go in once
    if (name := first_changed(small, model, keeps, shifts)) is not None:
        when = "constants are absorbed once, right after apply(model, plan), before any training"
        said = f"{name} is not what apply() leaves of it: {when}, and `model` is the network that was given to it"
        warnings.warn(said, NetslimWarning, stacklevel=3)


@dataclass
class _Site:
    """A layer that can take constants in.

    Attributes:
        name: of the module.
        constant: the running mean or bias of the pruned network.
        is_norm: whether it is a mean, and the difference one of inputs.
        dim: the dimension of the channels.
        keep: the channels that the pruned network has, None for all.
        seen: what the unpruned network has there, call by call.
        differences: per call, unpruned less pruned, shape (positions of both images, channels).
        scale: the largest absolute value seen.
    """

    name: str
    constant: Tensor
    is_norm: bool
    dim: int
    keep: Tensor | None
    seen: list[Tensor] = field(default_factory=list)
    differences: list[Tensor] = field(default_factory=list)
    scale: float = 0.0

    def record(self, values: Tensor) -> Tensor:
        """What the unpruned network has at this call."""
        self.seen.append(values.clone() if self.keep is None else values.index_select(self.dim, self.keep))
        return values

    def compare(self, values: Tensor) -> Tensor:
        """What the pruned network has; returns what the unpruned one had, so that later differences are their own."""
        expected = self.seen.pop(0)
        self.scale = max(self.scale, float(expected.abs().max()))
        self.differences.append((expected - values).movedim(self.dim, -1).reshape(-1, values.shape[self.dim]))
        return expected


def _sites(small: nn.Module, keeps: Mapping[Place, Tensor]) -> list[_Site]:
    sites = []
    for name, module in small.named_modules():
        if isinstance(module, _BatchNorm) and module.running_mean is not None and reads_its_input(module):
            sites.append(_Site(name, module.running_mean, True, 1, keeps.get((f"{name}.running_mean", 0))))
        elif isinstance(module, nn.Linear | _ConvNd) and gives_its_bias(module):
            dim = -1 if isinstance(module, nn.Linear) else -1 - len(module.kernel_size)  # there may be no batch
            sites.append(_Site(name, module.get_parameter("bias"), False, dim, keeps.get((f"{name}.bias", 0))))
    return sites


@contextmanager
def _watching(network: nn.Module, sites: Sequence[_Site], act: Callable[[_Site, Tensor], Tensor]) -> Iterator[None]:
    """Calls `act` for every site when the network runs; what it returns is what the network goes on with."""
    with ExitStack() as hooks:
        for site in sites:
            module = network.get_submodule(site.name)
            if site.is_norm:
                hooks.callback(module.register_forward_pre_hook(partial(_at_input, site, act), with_kwargs=True).remove)
            else:
                hooks.callback(module.register_forward_hook(partial(_at_output, site, act)).remove)
        yield


def _at_input(
    site: _Site, act: Callable[[_Site, Tensor], Tensor], _: nn.Module, args: tuple[Any, ...], keywords: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if args:
        return (act(site, args[0]), *args[1:]), keywords
    (name, values), *others = keywords.items()  # the input comes first, under whatever name
    return (), {name: act(site, values), **dict(others)}


def _at_output(site: _Site, act: Callable[[_Site, Tensor], Tensor], module: Any, _: Any, given: Any) -> Tensor | None:
    own = isinstance(given, Tensor) and isinstance(module.bias, nn.Parameter)  # neither a list nor a call's own bias
    return act(site, given) if own else None


def _take_in_(sites: Sequence[_Site], *, uneven: bool) -> tuple[list[Absorbed], list[NotAbsorbed]]:
    """Moves means and biases; those that several modules share count as one."""
    tied: dict[int, list[_Site]] = defaultdict(list)
    for site in sites:
        if site.differences:
            tied[id(site.constant)].append(site)
    layers, left = [], []
    for first, *others in tied.values():
        differences = [rows for site in (first, *others) for rows in site.differences]
        unit = torch.finfo(first.constant.dtype).eps * max(site.scale for site in (first, *others))
        if max(float(rows.abs().max()) for rows in differences) <= _ROUNDING * unit:
            continue
        constant, holds = _constant(differences, _CONSTANT * unit)
        first.constant.add_(torch.where(holds, constant, 0), alpha=-1 if first.is_norm else 1)
        if loose := int((~holds).sum()):
            left.append(NotAbsorbed(name=first.name, channels=loose, reason="differ between images, or between calls"))
        if uneven and (loose := int((holds & ~_steady(differences, constant, _CONSTANT * unit)).sum())):
            left.append(NotAbsorbed(name=first.name, channels=loose, reason="differ from position to position"))
        if bool(holds.any()):
            border = max(float((rows - constant)[:, holds].abs().max()) for rows in differences)
            layers.append(Absorbed(name=first.name, constant=float(constant[holds].abs().max()), border=border))
    return layers, left


def _constant(differences: Sequence[Tensor], tolerance: float) -> tuple[Tensor, Tensor]:
    """Per channel the difference at most positions, and whether both images and all calls have the same."""
    medians = torch.stack([rows.median(0).values for rows in differences])
    holds = (medians - medians[0]).abs().amax(0) <= tolerance
    for rows in differences:
        first, second = rows.tensor_split(2) if len(rows) % 2 == 0 else (rows, medians[0])
        holds &= (first - second).abs().amax(0) <= tolerance
    return medians[0], holds


def _steady(differences: Sequence[Tensor], constant: Tensor, tolerance: float) -> Tensor:
    """Per channel, whether many positions have that constant."""
    shares = [((rows - constant).abs() <= tolerance).float().mean(0) for rows in differences]
    return torch.stack(shares).amin(0) >= _STEADY


def _past_all(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> list[NotAbsorbed]:
    """Outputs that differ although every layer on the way that takes constants in gave what it is to give."""
    left = []
    for name, output in expected.items():
        if not output.is_floating_point() or not output.numel():
            continue
        unit = torch.finfo(output.dtype).eps * float(output.abs().max())
        apart = (output - found[name]).abs()
        rows = apart.movedim(1, 0).flatten(1) if output.dim() > 1 else apart.reshape(1, -1)
        if loose := int((rows.amax(1) > _ROUNDING * unit).sum()):
            left.append(NotAbsorbed(name=name, channels=loose, reason="have no BatchNorm or bias before them"))
    return left
