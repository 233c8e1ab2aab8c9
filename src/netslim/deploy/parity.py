"""Whether what is about to be written computes what the trained network computes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from netslim.core.errors import NetslimError
from netslim.core.networks.arithmetic import full_float32, is_rounding
from netslim.core.networks.example import Inputs, tensors_of
from netslim.core.networks.modes import evaluation_mode
from netslim.core.runs.seeding import drawing_alike
from netslim.deploy.signature import Example, ExportInputs, named_tensors

BATCHES = (1, 2, 7)
TOLERANCE = 1e-4
HALF_TOLERANCE = 2e-2  # float16 has three digits


class ParityError(NetslimError):
    """An exported network differs from the trained one; its file was not put in place."""


def check_parity(
    model: nn.Module, run: Callable[..., Any], example: Example, name: str, tolerance: float = TOLERANCE
) -> float:
    """Compares all outputs at batches 1, 2 and 7, on noise and on one constant image.

    Args:
        model: the trained network; it is compared in eval mode.
        run: the exported one: the same inputs, on the CPU, to outputs whose tensors have the same order.
        example: inputs of the shapes to compare at: a tensor, a tuple, or a dict by name.
        name: the target, for the error.
        tolerance: what may differ.

    Returns:
        The largest difference of an output, relative to the largest of that output (or to 1, if that is smaller).

    Raises:
        ParityError: it is above the tolerance, or not a number, or shapes differ.
    """
    given, generator, worst = ExportInputs.of(example), torch.Generator().manual_seed(0), 0.0
    device = given.tensors[0].device
    for batch in BATCHES:
        inputs = given.noise(batch, generator)
        expected = _outputs(model, inputs, device)
        found = list(tensors_of(run(*inputs.args, **inputs.kwargs)).values())
        try:
            worst = max(worst, _difference(expected, found, name, batch, tolerance))
        except ParityError as error:
            again = _outputs(model, inputs, device)
            if not any(bool(tensor.isfinite().any()) for tensor in expected.values()):
                raise ParityError(
                    f"{type(model).__name__} gives no finite number on random inputs, so that no file can be compared "
                    f"with it; nothing was written"
                ) from error
            if all(torch.equal(first, again[output]) for output, first in expected.items()):
                raise
            raise ParityError(
                f"{type(model).__name__} draws random numbers: it gives something else at every call with the same "
                f"input, so no file can be shown to compute the same; export the part of it that does not"
            ) from error
    return worst


def are_alike(model: nn.Module, graph: nn.Module, example: Tensor | Inputs) -> bool:
    """Whether a network and a graph of it, each in its own mode, give the same but for rounding.

    They draw the same random numbers. The graph takes the tensors one by one.
    """
    inputs = Inputs.of(example)
    devices = list({tensor.device for tensor in inputs.tensors if tensor.is_cuda})
    found = []
    for network, own in ((model, inputs), (graph, Inputs(tuple(inputs.tensors), {}))):
        with torch.no_grad(), full_float32(), drawing_alike(devices):
            found.append(tensors_of(own.call(network)).values())
    return len(found[0]) == len(found[1]) and all(is_rounding(*pair) for pair in zip(*found, strict=True))


def _outputs(model: nn.Module, inputs: ExportInputs, device: torch.device) -> dict[str, Tensor]:
    own = inputs.map(lambda leaf: leaf.to(device, copy=True))  # a network may write into its input
    with evaluation_mode(model), full_float32(), torch.inference_mode():
        return named_tensors(model(*own.args, **own.kwargs), "output")


def _difference(expected: Mapping[str, Tensor], found: list[Tensor], name: str, batch: int, tolerance: float) -> float:
    if len(found) != len(expected):
        raise ParityError(f"target {name} gives {len(found)} outputs, not {len(expected)}")
    worst = 0.0
    for (output, right), own in zip(expected.items(), found, strict=True):
        which = "" if len(found) == 1 else f" of output '{output}'"
        if own.shape != right.shape:
            raise ParityError(f"target {name} gives shape {tuple(own.shape)}, not {tuple(right.shape)}{which}")
        difference = _relative(right.cpu().double(), own.double())
        if not difference <= tolerance:
            raise ParityError(
                f"target {name} differs from the trained network by {difference:.1e} of its largest output at batch "
                f"{batch}{which} (allowed: {tolerance:.0e}); nothing was written"
            )
        worst = max(worst, difference)
    return worst


def _relative(right: Tensor, own: Tensor) -> float:
    if not right.numel():
        return 0.0
    return float((own - right).abs().max()) / max(1.0, float(right.abs().max()))
