"""Whether ONNX Runtime computes with a file what a network that was read from one does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from netslim.core.errors import NetslimError
from netslim.core.networks.modes import evaluation_mode
from netslim.deploy.formats.onnx_runtime import onnx_session, said_by
from netslim.models.onnx_import.source import OnnxSource
from netslim.models.onnx_import.tensors import with_content

BATCHES = (1, 2, 7)  # where the file leaves the batch open


def difference_from(model: bytes | str, network: nn.Module, source: OnnxSource) -> float:
    """The largest difference of an output, relative to the largest of that output (or to 1, if that is smaller).

    Of a file that goes on after the network, what it takes of the network are the outputs; all of it must run, and the
    one that was read must give what it gives with the branches that were taken.

    Args:
        model: content of a file like the one that was read, or the path of that file.
        network: what was read from it, or became of that.
        source: of the network.

    Raises:
        NetslimError: ONNX Runtime can't run the file, or gives outputs of other shapes.
    """
    sessions, worst = _Sessions(model, source), 0.0
    for batch in BATCHES if source.inputs[0].free[:1] == (True,) else (None,):
        example = source.example(batch)
        given = example if isinstance(example, tuple) else (example,)
        named = {port.name: each.to(port.dtype).numpy() for port, each in zip(source.inputs, given, strict=True)}
        try:
            expected = sessions.run(named)
            worst = max(worst, sessions.difference_of_rest(named))
        except NetslimError:
            raise
        except Exception as error:  # its exceptions have no common base but this
            raise NetslimError(f"ONNX Runtime can't run the network: {said_by(error)}") from error
        with evaluation_mode(network), torch.inference_mode():
            found = network(*given)
        outputs = found if isinstance(found, tuple) else (found,)
        for name, right, own in zip(source.outputs, expected, outputs, strict=True):
            worst = max(worst, _relative(name, torch.from_numpy(right), own))
    return worst


class _Sessions:
    """Of a file, and where it goes on after the network, of one that gives what it takes of that."""

    def __init__(self, model: bytes | str, source: OnnxSource) -> None:
        threads = torch.get_num_threads()
        self._names, self._whole = source.outputs, onnx_session(model, threads)
        self._own, self._read = self._whole, None
        if source.rest:
            proto = _loaded(model) if isinstance(model, bytes) else _with_contents(source)
            self._read = onnx_session(proto.SerializeToString(), threads) if isinstance(model, str) else None
            self._own = onnx_session(_giving(proto, source.outputs).SerializeToString(), threads)

    def run(self, named: Mapping[str, np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
        found: list[np.ndarray[Any, Any]] = self._own.run([*self._names], named)
        return found

    def difference_of_rest(self, named: Mapping[str, np.ndarray[Any, Any]]) -> float:
        """Runs the file to its end: of what was read against the file itself, else alone."""
        if self._own is self._whole:
            return 0.0
        found = self._whole.run(None, named)
        if self._read is None:
            return 0.0
        names = [output.name for output in self._whole.get_outputs()]
        pairs = zip(names, found, self._read.run(names, named), strict=True)
        return max(_relative(name, torch.from_numpy(right), torch.from_numpy(own)) for name, right, own in pairs)


def _loaded(content: bytes) -> Any:
    import onnx

    return onnx.load_model_from_string(content)


def _with_contents(source: OnnxSource) -> Any:
    """The graph that was read, with the tensors that lie beside its file."""
    proto = type(source.proto)()
    proto.CopyFrom(source.proto)
    held = [with_content(tensor, source.path.parent) for tensor in proto.graph.initializer]
    del proto.graph.initializer[:]
    proto.graph.initializer.extend(held)
    return proto


def _giving(proto: Any, names: tuple[str, ...]) -> Any:
    """A model that gives other values of its graph."""
    from onnx import helper

    found = type(proto)()
    found.CopyFrom(proto)
    own = {output.name: output for output in proto.graph.output}
    del found.graph.output[:]
    found.graph.output.extend(own.get(name) or helper.make_empty_tensor_value_info(name) for name in names)
    return found


def _relative(name: str, right: Tensor, own: Tensor) -> float:
    if right.shape != own.shape:
        raise NetslimError(f"output '{name}' is {tuple(own.shape)}, and {tuple(right.shape)} in ONNX Runtime")
    if not right.numel():
        return 0.0
    wanted = right.double()
    return float((own.double() - wanted).abs().max()) / max(1.0, float(wanted.abs().max()))
