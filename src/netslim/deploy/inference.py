"""A trained network -> the same function as a network made for inference."""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from netslim.core.errors import UsageError, unknown_name
from netslim.core.networks.example import Inputs, TensorSpec
from netslim.core.networks.modes import evaluation_mode
from netslim.core.networks.running import running
from netslim.core.networks.wrappers import check_network
from netslim.deploy.bn_relu_to_clamp import bound
from netslim.deploy.fx_graph import Given, annotate, capture, clean
from netslim.deploy.passes import (
    clear_tiny,
    drop_dead_branches,
    drop_full_selections,
    drop_unread,
    fold_constants,
    fold_norms,
    pad,
    select_by_zeros,
    select_early,
    write_in_place,
)
from netslim.deploy.tracing.held_sizes import checking_sizes

SELECTIONS = ("gather", "zeros")
LAYOUTS = ("nchw", "nhwc")


@dataclass(frozen=True, kw_only=True)
class Form:
    """What is left to choose once everything that always pays is done.

    Attributes:
        selection: `gather` picks a selection's channels (before the BatchNorm, which is then narrower); `zeros` reads
            the whole stream, with zero weights for what was not selected.
        multiple: widths are rounded up to a multiple of it with zero filters, where they can be; 1 leaves them.
        layout: of activations and weights in memory, `nchw` or `nhwc` (torch's channels_last).
        clamp: whether BatchNorm and ReLU in front of convolutions become one clamp per channel. That is half of the
            passes over memory for torch; ONNX Runtime has kernels that do the two at once.
    """

    selection: str = "zeros"
    multiple: int = 1
    layout: str = "nchw"
    clamp: bool = True

    def __str__(self) -> str:
        return f"{self.selection}/{self.multiple}/{self.layout}{'' if self.clamp else '/norms'}"

    def to_dict(self) -> dict[str, str | int | bool]:
        """As plain data for JSON."""
        return asdict(self)


def for_inference(model: nn.Module, example: Any, form: Form | None = None) -> fx.GraphModule:
    """The network for inference: same outputs in eval mode, no gradients, any batch size.

    BatchNorm is folded into the convolution before it; channels that are constant or that nothing reads are gone, and
    with them residual branches that give nothing; selections, widths, memory layout and the remaining BatchNorms are as
    `form` says.

    Args:
        model: left unchanged.
        example: an input (N, C, H, W), N >= 2; the image size of the result, which raises AssertionError for another
            one where the network's code computes with it. Of several inputs a tuple, or a dictionary
            by name: these are tensors, and the result takes them in this order, or by name.
        form: default: no gathers, widths as they are, channels first, clamps.

    Raises:
        UsageError: an unknown form, or a network that does not run on the example.
        UntraceableError: the network's Python code decides on values.

    >>> import torch, netslim
    >>> model = torch.nn.Sequential(
    ...     torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8),
    ...     torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(288, 10)
    ... )
    >>> images = torch.randn(2, 3, 8, 8)
    >>> fast = netslim.for_inference(model, images)
    >>> torch.allclose(fast(images), model.eval()(images), atol=1e-5)
    True
    >>> any(isinstance(module, torch.nn.BatchNorm2d) for module in fast.modules())
    False
    """
    check_network(model)
    inputs = Inputs.of(example)
    other = next((part for part in (*inputs.args, *inputs.kwargs.values()) if not isinstance(part, Tensor)), None)
    if other is not None:
        kind = type(other).__name__
        raise UsageError(f"an example with a part of type {kind}: a fixed graph takes tensors, one by one")
    check_runs(model, inputs)
    return checking_sizes(shaped(simplified(model, inputs), tuple(inputs.tensors), form or Form()))


def check_runs(model: nn.Module, inputs: Inputs) -> None:
    """Raises UsageError for inputs that a network does not run on, and for a batch of none."""
    if not inputs.batch:
        raise UsageError("the example has no input in its batch: give one or more")
    with running(model, inputs.map(TensorSpec.of)), evaluation_mode(model), torch.no_grad():
        inputs.call(model)


def simplified(model: nn.Module, inputs: Tensor | Inputs) -> fx.GraphModule:
    """The network with everything done that is independent of the form."""
    inputs = Inputs.of(inputs)
    network, example = capture(model, inputs), tuple(inputs.tensors)
    fold_norms(network)
    clear_tiny(network)
    network.recompile()
    annotate(network, example)
    while fold_constants(network, example) + drop_unread(network):
        network.recompile()
        annotate(network, example)
    drop_full_selections(network)
    drop_dead_branches(network, example)
    return network


def shaped(network: fx.GraphModule, example: Given, form: Form) -> fx.GraphModule:
    """A copy of a simplified network in a form. Raises UsageError for an unknown one."""
    for kind, given, allowed in (("selection", form.selection, SELECTIONS), ("layout", form.layout, LAYOUTS)):
        if given not in allowed:
            raise unknown_name(kind, given, allowed)
    copied = _copy(network, example)
    if form.selection == "zeros":
        select_by_zeros(copied)
    else:
        select_early(copied)
    copied.recompile()
    annotate(copied, example)
    pad(copied, form.multiple)
    if form.clamp:
        bound(copied)
    if form.layout == "nhwc":
        _channels_last_(copied)
    write_in_place(copied)
    clean(copied)
    annotate(copied, example)
    return copied


def two_of(images: Tensor) -> Tensor:
    """Two images, which graphs are made with: one would be taken for a constant, and more take longer."""
    return images[:2] if len(images) > 1 else images.expand(2, *images.shape[1:]).contiguous()


def _copy(network: fx.GraphModule, example: Given) -> fx.GraphModule:
    copied = copy.deepcopy(network)
    annotate(copied, example)
    return copied


def _channels_last_(network: fx.GraphModule) -> None:
    network.to(memory_format=torch.channels_last)
    starts = [node for node in network.graph.nodes if node.op == "placeholder" and len(node.meta["shape"] or ()) == 4]
    for start in starts:
        readers = [*start.users]
        with network.graph.inserting_after(start):
            reordered = network.graph.call_method("contiguous", (start,), {"memory_format": torch.channels_last})
        start.replace_all_uses_with(reordered, delete_user_cb=readers.__contains__)
