"""A trained network -> the same function as a network made for inference."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product

import torch
from torch import Tensor, fx, nn

from netslim.core.errors import UsageError, unknown_name
from netslim.core.networks.wrappers import check_network
from netslim.cost import Latency, measure_latency
from netslim.cost.params import count_params
from netslim.deploy.bn_relu_to_clamp import bound
from netslim.deploy.fx_graph import annotate, capture, clean, index_of
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

SELECTIONS = ("gather", "zeros")
MULTIPLES = (1, 8, 16)
LAYOUTS = ("nchw", "nhwc")


@dataclass(frozen=True, kw_only=True)
class Form:
    """What is left to choose once everything that always pays is done.

    Attributes:
        selection: `gather` picks a selection's channels (before the BatchNorm, which is then narrower); `zeros` reads
            the whole stream, with zero weights for what was not selected.
        multiple: widths are rounded up to a multiple of it with zero filters, where they can be; 1 leaves them.
        layout: of activations and weights in memory, `nchw` or `nhwc` (torch's channels_last).
        bounds: whether BatchNorm and ReLU in front of convolutions become one bound per channel. That is half of the
            passes over memory for torch; ONNX Runtime has kernels that do the two at once.
    """

    selection: str = "zeros"
    multiple: int = 1
    layout: str = "nchw"
    bounds: bool = True

    def __str__(self) -> str:
        return f"{self.selection}/{self.multiple}/{self.layout}{'' if self.bounds else '/norms'}"

    def to_dict(self) -> dict[str, str | int | bool]:
        """As plain data for JSON."""
        return asdict(self)


def for_inference(model: nn.Module, example: Tensor, form: Form | None = None) -> fx.GraphModule:
    """The network for inference: same outputs in eval mode, no gradients, any batch size.

    BatchNorm is folded into the convolution before it; channels that are constant or that nothing reads are gone, and
    with them residual branches that give nothing; selections, widths, memory layout and the remaining BatchNorms are as
    `form` says.

    Args:
        model: left unchanged.
        example: an input (N, C, H, W), N >= 2; the image size of the result.
        form: default: no gathers, widths as they are, channels first, bounds.

    Raises:
        UsageError: an unknown form.
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
    if not isinstance(example, Tensor):
        raise UsageError(f"an example of type {type(example).__name__}: give one tensor, a batch of images")
    return shaped(simplified(model, example), example, form or Form())


def simplified(model: nn.Module, example: Tensor) -> fx.GraphModule:
    """The network with everything done that is independent of the form."""
    network = capture(model, example)
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


def shaped(network: fx.GraphModule, example: Tensor, form: Form) -> fx.GraphModule:
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
    if form.bounds:
        bound(copied)
    if form.layout == "nhwc":
        _channels_last_(copied)
    write_in_place(copied)
    clean(copied)
    annotate(copied, example)
    return copied


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which form was fastest, and what each took (empty where there was nothing to choose)."""

    form: Form
    measured: Mapping[Form, Latency]


@dataclass(frozen=True, kw_only=True)
class Search:
    """Which forms are tried.

    Attributes:
        selection, multiple, layout, bounds: the only one to try; None for all there are.
        batch: images per call, at most as many as the example has; None for all of them.
        seconds: measured time per form.
    """

    selection: str | None = None
    multiple: int | None = None
    layout: str | None = None
    bounds: bool | None = None
    batch: int | None = None
    seconds: float = 0.3


def choose(
    network: fx.GraphModule,
    example: Tensor,
    call_of: Callable[[fx.GraphModule], Callable[[], object]],
    layouts: Sequence[str],
    search: Search,
) -> Choice:
    """Times the forms of a simplified network on this machine, side by side, and takes the fastest.

    First selections, layouts and bounds together, because which selection is fast depends on the others (picking
    channels of channels_last copies single numbers, so this is not tried by itself); then widths, for the fastest form
    of each selection: widths that kernels are made for can turn round which of them is faster. Lower quartiles decide:
    what else the machine does only ever adds time.

    Args:
        network: from `simplified`.
        example: an input (N, C, H, W).
        call_of: makes the call that is timed from a network.
        layouts: those to try.
        search: what else to try.
    """
    gathers = any(index_of(node) is not None for node in network.graph.nodes)
    selections = [search.selection] if search.selection else SELECTIONS if gathers else ("zeros",)
    multiples = [search.multiple] if search.multiple else MULTIPLES
    pairs = [pair for pair in product(selections, layouts) if pair != ("gather", "nhwc")] or [("gather", "nhwc")]
    first = [
        Form(selection=how, multiple=multiples[0], layout=layout, bounds=bounds)
        for (how, layout), bounds in product(pairs, (True, False) if search.bounds is None else (search.bounds,))
    ]
    measured = _timed(_distinct(network, example, first), call_of, search.seconds)
    if len(multiples) == 1:
        return Choice(form=_fastest(measured, first[0]), measured=measured)
    kinds = [{form: time for form, time in measured.items() if form.selection == how} for how in selections]
    best = [_fastest(kind, first[0]) for kind in kinds if kind] or [first[0]]
    widened = [replace(form, multiple=width) for form in best for width in multiples]
    again = _timed(_distinct(network, example, widened), call_of, search.seconds)
    return Choice(form=_fastest(again, best[0]), measured={**measured, **again})


def _fastest(measured: Mapping[Form, Latency], otherwise: Form) -> Form:
    return min(measured, key=lambda form: measured[form].lower_quartile, default=otherwise)


def _timed(
    networks: Mapping[Form, fx.GraphModule], call_of: Callable[[fx.GraphModule], Callable[[], object]], seconds: float
) -> dict[Form, Latency]:
    if len(networks) < 2:
        return {}
    with torch.inference_mode():
        found = measure_latency({str(form): call_of(net) for form, net in networks.items()}, seconds=seconds, warmup=1)
    return {form: found[str(form)] for form in networks}


def _distinct(network: fx.GraphModule, example: Tensor, forms: Iterable[Form]) -> dict[Form, fx.GraphModule]:
    """The forms that differ: rounding changes nothing where widths are multiples, bounds where no BatchNorm is left."""
    found: dict[Form, fx.GraphModule] = {}
    seen: set[tuple[str, str, int, int]] = set()
    for form in forms:
        candidate = shaped(network, example, form)
        key = (form.selection, form.layout, count_params(candidate), len(candidate.graph.nodes))
        if key not in seen:
            seen.add(key)
            found[form] = candidate
    return found


def _copy(network: fx.GraphModule, example: Tensor) -> fx.GraphModule:
    copied = copy.deepcopy(network)
    annotate(copied, example)
    return copied


def _channels_last_(network: fx.GraphModule) -> None:
    network.to(memory_format=torch.channels_last)
    start = next(node for node in network.graph.nodes if node.op == "placeholder")
    with network.graph.inserting_after(start):
        reordered = network.graph.call_method("contiguous", (start,), {"memory_format": torch.channels_last})
    start.replace_all_uses_with(reordered, delete_user_cb=lambda user: user is not reordered)
