"""The proof of a pruning: the unpruned network with the removed channels silenced, against the rebuilt one."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from netslim.core.errors import UsageError
from netslim.core.networks.arithmetic import double_throughout, full_float32
from netslim.core.networks.caches import caches_kept
from netslim.core.networks.copies import copied
from netslim.core.networks.decisions import Decisions
from netslim.core.networks.example import Inputs, TensorSpec, tensors_of
from netslim.core.networks.modes import attributes_kept, evaluation_mode
from netslim.core.networks.replay import Supposition, recording, replaying
from netslim.core.networks.running import running
from netslim.core.networks.wrappers import plain
from netslim.core.protocols import PrunePlan, plan_of
from netslim.core.runs.seeding import drawing_alike
from netslim.cost import count_params
from netslim.pruning.resolve_plan import Part, resolve

TOLERANCE = 1e-5
M = TypeVar("M", bound=nn.Module)


@dataclass(frozen=True, kw_only=True)
class OutputAgreement:
    """How far one output tensor of two networks is apart.

    Attributes:
        name: where it is in what the networks give (`output`, `logits`, `1.0`).
        difference: largest absolute difference.
        scale: largest absolute value of the reference.
    """

    name: str
    difference: float
    scale: float

    @property
    def relative(self) -> float:
        """The difference as a share of the output's own size."""
        return self.difference / self.scale if self.scale else float(self.difference > 0)


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How far two networks' outputs are apart.

    Attributes:
        outputs: every tensor that they give, by itself.
        depends_on_input: whether the rebuilt network gives something else for other inputs, or the one before pruning
            does not either; not where no finite number comes out.
        finite: whether a finite number comes out.
    """

    outputs: tuple[OutputAgreement, ...]
    depends_on_input: bool = True
    finite: bool = True

    @property
    def max_difference(self) -> float:
        """Largest absolute difference of two numbers."""
        return max((output.difference for output in self.outputs), default=0.0)

    @property
    def agrees(self) -> bool:
        """Whether each output differs by at most 1e-5 of its own size."""
        return all(output.relative <= TOLERANCE for output in self.outputs)

    @property
    def holds(self) -> bool:
        """Whether each output agrees, and the networks still do something: their outputs depend on the input."""
        return self.agrees and self.depends_on_input


def verify(model: nn.Module, small: nn.Module, images: Any) -> Agreement:
    """Holds the masked original against the rebuilt network, over all their outputs.

    Where they are apart in their own precision, double precision tells rounding from a wrong channel.

    Args:
        model: the network before pruning.
        small: what `apply(model, plan)` returned.
        images: inputs (N, C, H, W), or several as for `plan`.

    Raises:
        UsageError: the networks give different outputs altogether.

    >>> import torch, netslim
    >>> model = torch.nn.Sequential(
    ...     torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8),
    ...     torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(288, 10)
    ... )
    >>> _ = model[1].weight.data.copy_(torch.linspace(0.1, 0.8, 8))  # scales, as training with a penalty leaves them
    >>> images = torch.randn(2, 3, 8, 8)
    >>> small = netslim.apply(model, netslim.plan(model, images, percent=0.4))
    >>> netslim.verify(model, small, images).holds
    True
    """
    inputs, model, small = Inputs.of(images), plain(model), plain(small)
    plan = plan_of(small)
    if plan is None and count_params(small) > count_params(model):
        raise UsageError("the second network is larger than the first: the order is verify(model, small, images)")
    resolved = None if plan is None else resolve(model, plan)
    decides = resolved is not None and resolved.decides
    reference = model if resolved is None else silenced(model, resolved.parts)
    with running(small, inputs.map(TensorSpec.of)):
        found = outputs_of(small, inputs)
    outputs = _apart(reference, small, inputs, found, decides=decides)
    if not Agreement(outputs=outputs).agrees:
        with suppress(Exception), double_throughout():  # a network may raise anything in a precision not its own
            doubled = copied(reference).double(), copied(small).double(), inputs.map(_doubled)
            outputs = _apart(*doubled, outputs_of(*doubled[1:]), decides=decides)
    depends = _depends_on_input(small, inputs, found) or not _depends_on_input(model, inputs)
    finite = any(bool(tensor.isfinite().any()) for tensor in found.values() if tensor.numel()) or not found
    return Agreement(outputs=outputs, depends_on_input=depends and finite, finite=finite)


def _apart(
    reference: nn.Module, small: nn.Module, inputs: Inputs, found: Mapping[str, Tensor], *, decides: bool
) -> tuple[OutputAgreement, ...]:
    """How far what the small network gives is from the masked one's."""
    if decides:
        return compare_decided(*recorded_outputs(reference, inputs), small, inputs)
    return compare(outputs_of(reference, inputs), found)


def _doubled(tensor: Tensor) -> Tensor:
    return tensor.double() if tensor.is_floating_point() else tensor


def outputs_of(network: nn.Module, inputs: Inputs, *, watched: bool = False) -> dict[str, Tensor]:
    """The tensors that a network gives in eval mode, by where they are; what it draws at random is always the same."""
    devices = [tensor.device for tensor in inputs.tensors if tensor.is_cuda][:1]
    no_gradients = torch.no_grad() if watched else torch.inference_mode()  # in which operations pass undivided
    modes = evaluation_mode(network), attributes_kept(network), caches_kept(network), full_float32(), no_gradients
    with ExitStack() as stack:
        for mode in (*modes, drawing_alike(devices)):
            stack.enter_context(mode)
        return tensors_of(inputs.call(network))


def recorded_outputs(
    network: nn.Module, inputs: Inputs, supposed: Supposition | None = None
) -> tuple[Decisions, dict[str, Tensor]]:
    """What a network decides by values, and what it gives."""
    with torch.inference_mode(False), recording(inputs.tensors, supposed) as decisions:
        return decisions, outputs_of(network, inputs, watched=True)


def compare_decided(
    decisions: Decisions, expected: Mapping[str, Tensor], small: nn.Module, inputs: Inputs
) -> tuple[OutputAgreement, ...]:
    """Output by output, and what decisions are taken on, of a network that decides as another did.

    Raises UsageError if it decides where the other does not, or gives something else altogether.
    """
    with torch.inference_mode(False), replaying(inputs.tensors, decisions) as replayer:
        found = outputs_of(small, inputs, watched=True)
    grounds = [_compare(name, *pair) for name, pair in replayer.pairs.items()]
    return (*compare(expected, found), *grounds)


def compare(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> tuple[OutputAgreement, ...]:
    """Output by output. Raises UsageError if they are not of the same names and shapes, or there are none."""
    if not (expected or found):
        raise UsageError("the networks give no tensor to compare: let `forward` return what the network computes")
    shapes = [{name: tuple(tensor.shape) for name, tensor in outputs.items()} for outputs in (expected, found)]
    if shapes[0] != shapes[1]:
        raise UsageError(f"the networks give different outputs: {shapes[0]} and {shapes[1]}")
    return tuple(_compare(name, expected[name], found[name]) for name in expected)


def _compare(name: str, expected: Tensor, found: Tensor) -> OutputAgreement:
    if not expected.numel():
        return OutputAgreement(name=name, difference=0.0, scale=0.0)
    wide = torch.complex128 if expected.is_complex() else torch.float64
    first, second = expected.cpu().to(wide), found.cpu().to(wide)
    apart = torch.where((first == second) | (first.isnan() & second.isnan()), 0, (first - second).abs())
    difference = float(apart.abs().nan_to_num(nan=torch.inf).max())
    return OutputAgreement(name=name, difference=difference, scale=float(first.abs().nan_to_num(0, 0, 0).max()))


def _depends_on_input(network: nn.Module, inputs: Inputs, found: Mapping[str, Tensor] | None = None) -> bool:
    """Whether something else comes out for other values of the same kind."""
    found = outputs_of(network, inputs) if found is None else found
    generator = torch.Generator().manual_seed(0)
    other = outputs_of(network, inputs.map(lambda tensor: _other_values(tensor, generator)))
    return any(not torch.equal(tensor, other[name]) for name, tensor in found.items() if name in other)


def _other_values(tensor: Tensor, generator: torch.Generator) -> Tensor:
    """As many random ones of the same mean and spread, or of whole numbers the same in another order."""
    if not tensor.is_floating_point():
        return tensor.flatten()[torch.randperm(tensor.numel(), generator=generator).to(tensor.device)].view(
            tensor.shape
        )
    values = tensor.double()
    spread = float(values.std(correction=0)) or 1.0
    return (torch.randn(tensor.shape, generator=generator) * spread + float(values.mean())).to(tensor)


def masked(model: M, plan: PrunePlan, *, shift: bool = False) -> M:
    """A full-size copy in which the channels that `plan` removes give zero and contribute nothing.

    Their BatchNorm scales and shifts are zero; in a traced network all weights and biases that give the channel are.

    Args:
        model: left unchanged.
        plan: which channels stay.
        shift: whether BatchNorm shifts, biases and what else is added stay, so that a removed channel still gives what
            does not depend on the input.
    """
    model = cast(M, plain(model))
    return silenced(model, resolve(model, plan).parts, shift=shift)


def silenced(model: M, parts: Sequence[Part], *, shift: bool = False) -> M:
    """`masked` by a plan that was held against the network already."""
    silent = copied(model)
    silence_(silent, parts, shift=shift)
    return silent


@torch.no_grad()
def silence_(model: nn.Module, parts: Sequence[Part], *, shift: bool = False) -> None:
    """Makes the channels that go give zero, or with `shift` what does not depend on the input."""
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    for part in parts:
        if part.group.slices:
            _silence_slices_(tensors, part, shift=shift)
        else:
            _silence_scales_(tensors, part, shift=shift)


def _silence_scales_(tensors: Mapping[str, Tensor], part: Part, *, shift: bool) -> None:
    for norm in part.group.scales:
        tensors[f"{norm}.weight"][part.gone] = 0
        if not shift:
            tensors[f"{norm}.bias"][part.gone] = 0


def _silence_slices_(tensors: Mapping[str, Tensor], part: Part, *, shift: bool) -> None:
    gone, scales = part.gone, {f"{name}.weight" for name in part.group.scales}
    for cut in part.group.slices if gone else ():
        tensor = tensors[cut.tensor]
        factor = cut.tensor in scales or (tensor.dim() > 1 and not cut.elementwise and not cut.depthwise)
        if cut.produces and (factor or not shift):
            tensor.index_fill_(cut.dim, cut.positions[gone].flatten().to(tensor.device), 0)
