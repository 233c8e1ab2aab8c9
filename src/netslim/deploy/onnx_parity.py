"""Whether ONNX Runtime computes with a file what a network that was read from one does."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from netslim.core.errors import NetslimError, first_line
from netslim.core.networks.modes import evaluation_mode
from netslim.deploy.formats.onnx_runtime import onnx_session
from netslim.models.onnx_import.source import OnnxSource

BATCHES = (1, 2, 7)  # where the file leaves the batch open


def difference_from(model: bytes | str, network: nn.Module, source: OnnxSource) -> float:
    """The largest difference of an output, relative to the largest of that output (or to 1, if that is smaller).

    Args:
        model: content or path of the file.
        network: what was read from one like it.
        source: of the network.

    Raises:
        NetslimError: ONNX Runtime can't run the file, or gives outputs of other shapes.
    """
    session, worst = onnx_session(model, torch.get_num_threads()), 0.0
    for batch in BATCHES if source.inputs[0].free[:1] == (True,) else (None,):
        example = source.example(batch)
        given = example if isinstance(example, tuple) else (example,)
        named = {port.name: each.to(port.dtype).numpy() for port, each in zip(source.inputs, given, strict=True)}
        try:
            expected = session.run([*source.outputs], named)
        except Exception as error:  # its exceptions have no common base but this
            raise NetslimError(f"ONNX Runtime can't run the network: {first_line(error)}") from error
        with evaluation_mode(network), torch.inference_mode():
            found = network(*given)
        outputs = found if isinstance(found, tuple) else (found,)
        for name, right, own in zip(source.outputs, expected, outputs, strict=True):
            worst = max(worst, _relative(name, torch.from_numpy(right), own))
    return worst


def _relative(name: str, right: Tensor, own: Tensor) -> float:
    if right.shape != own.shape:
        raise NetslimError(f"output '{name}' is {tuple(own.shape)}, and {tuple(right.shape)} in ONNX Runtime")
    if not right.numel():
        return 0.0
    wanted = right.double()
    return float((own.double() - wanted).abs().max()) / max(1.0, float(wanted.abs().max()))
