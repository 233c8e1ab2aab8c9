"""A float ONNX model -> the same with quantised layers (QDQ), any of which may stay in float."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor

from netslim.core.errors import NetslimError, first_line
from netslim.deploy.formats.onnx_hash import with_facts
from netslim.deploy.formats.onnx_runtime import onnx_session, run_session
from netslim.deploy.int8.norms_as_convolutions import WEIGHT, norms_as_convolutions
from netslim.deploy.int8.processor import Integers, integers
from netslim.deploy.int8.quantizer import Function, Quantizer, check_differ, no_layers, single
from netslim.deploy.quiet import quiet

LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
AROUND = (
    *("Add", "Mul", "Relu", "Clip", "LeakyRelu", "MaxPool", "AveragePool", "GlobalAveragePool", "Concat", "Gather"),
    *("Flatten", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "Resize", "Split", "Slice", "Pad"),
)
_KERNELS = ("QLinearConv", "QLinearMatMul", "QGemm", "MatMulInteger", "ConvInteger", "QLinearConvTranspose")
_OPTIONS = {"MatMulConstBOnly": True}


class OnnxQuantizer(Quantizer):
    """ONNX Runtime's static quantizer with the ranges of one network, measured once.

    Tensors that are concatenated share a scale, so that a concatenation only copies. Those that are added have scales
    of their own: the kernel for additions takes them as they are, and a shared one would be the coarser of the two.

    Args:
        content: the float model.
        images: batches that ranges are measured on; None: every range is -1 to 1, for a model that is only timed.
        integers: kinds of numbers.

    Raises:
        DataError: the images are all the same.
        NetslimError: ONNX Runtime's quantizer can't take this model.
    """

    run_time = "ONNX Runtime"
    kinds = (True, False)

    def __init__(self, content: bytes, images: Sequence[Tensor] | None, integers: Integers) -> None:
        import onnx

        if images is not None:
            check_differ(images)
        self.float_content, self.integers = content, str(integers)
        self._model = onnx.shape_inference.infer_shapes(onnx.load_from_string(content))
        self._integers = integers
        constants = {tensor.name for tensor in self._model.graph.initializer}
        self.layers = [
            node.name for node in self._model.graph.node if node.op_type in LAYERS and node.input[1] in constants
        ]
        if not self.layers:
            raise no_layers()
        self._around = norms_as_convolutions(self._model)
        with _refused():
            found = _any_ranges(self._around) if images is None else _ranges(self._around, images)
            self._ranges = _shared(self._around, found)

    def model(self, in_float: Collection[str] = (), *, around: bool = True, only: str | None = None) -> bytes:
        """The model in int8, as `Quantizer.model` says."""
        from onnxruntime.quantization import QDQQuantizer, QuantType

        with _refused():
            made = QDQQuantizer(
                copy.deepcopy(self._around if around and not only else self._model),
                True,  # weights per channel
                self._integers.seven_bits,
                QuantType.QInt8,
                QuantType[self._integers.activations],
                self._ranges,
                [only] if only else [],
                list(in_float),
                [*LAYERS, *(AROUND if around and not only else ())],
                dict(_OPTIONS),
            ).quantize_model()
            _keep_in_float(made, in_float)
        content: bytes = made.SerializeToString()
        return content

    def function(self, content: bytes) -> Function:
        """On as many threads as torch has."""
        session = onnx_session(content, torch.get_num_threads())
        return lambda images: single(run_session(session, images))

    def layers_in_int8(self, content: bytes) -> int:
        """In the file that ONNX Runtime makes of it."""
        import onnx

        with TemporaryDirectory(prefix="netslim-") as folder:
            path = Path(folder) / "optimised.onnx"
            onnx_session(content, 1, optimised=path)
            nodes = onnx.load(path).graph.node
        norms = sum(any(WEIGHT in name for name in node.input) for node in nodes)
        return sum(node.op_type in _KERNELS for node in nodes) - norms

    def size(self, content: bytes) -> int:
        """Of one file."""
        return len(content)

    def with_facts(self, content: bytes, facts: Mapping[str, Any]) -> bytes:
        """In the file's metadata."""
        import onnx

        return with_facts(onnx.load_from_string(content), {"int8": facts})


def in_int8_for_timing(content: bytes, *, around: bool = True) -> bytes:
    """A model in int8 that takes as long as one with ranges from images; itself, if it has no layers.

    Args:
        content: the float model.
        around: see `Quantizer.model`.

    Raises:
        NetslimError: ONNX Runtime's quantizer can't take this model.
    """
    import onnx

    if not any(node.op_type in LAYERS for node in onnx.load_from_string(content).graph.node):
        return content
    return OnnxQuantizer(content, None, integers()).model(around=around)


def _keep_in_float(model: Any, layers: Collection[str]) -> None:
    """Puts an operation that changes nothing between layers and what dequantises their input, in place.

    ONNX Runtime quantises a convolution in float between quantised numbers by itself when it opens the file, with one
    scale for all of its weights (its pass WeightBiasQuantization). It takes out what it knows to change nothing; a
    LeakyRelu that is as steep on both sides stays.
    """
    from onnx import helper

    graph = model.graph
    made_by = {name: node.op_type for node in graph.node for name in node.output}
    for node in [node for node in graph.node if node.name in layers]:
        if made_by.get(node.input[0]) == "DequantizeLinear":
            name = f"{node.name}_input"
            graph.node.insert(
                list(graph.node).index(node), helper.make_node("LeakyRelu", [node.input[0]], [name], name, alpha=1.0)
            )
            node.input[0] = name


def _ranges(model: Any, images: Sequence[Tensor]) -> Any:
    """Smallest and largest value of every activation, by name."""
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, create_calibrator

    name = model.graph.input[0].name

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._left: Iterator[Tensor] = iter(images)

        def get_next(self) -> Mapping[str, Any] | None:
            batch = next(self._left, None)
            return None if batch is None else {name: batch.detach().cpu().numpy()}

    with TemporaryDirectory(prefix="netslim-") as folder:
        plain = Path(folder) / "float.onnx"
        onnx.save_model(model, plain)
        calibrator = create_calibrator(
            plain, [*LAYERS, *AROUND], augmented_model_path=str(Path(folder) / "observed.onnx")
        )
        calibrator.collect_data(Reader())
        return calibrator.compute_data()


def _any_ranges(model: Any) -> Any:
    from onnxruntime.quantization.calibrate import CalibrationMethod, TensorsData

    values = [given.name for given in model.graph.input] + [name for node in model.graph.node for name in node.output]
    return TensorsData(CalibrationMethod.MinMax, {name: (np.float32(-1), np.float32(1)) for name in values})


def _shared(model: Any, ranges: Any) -> Any:
    """Gives all inputs of a concatenation the range of its output, which holds them all.

    Unless that is another range than a ReLU has by which it is left out: what is below 0 is cut off by the range alone.
    """
    made_by = {name: node.op_type for node in model.graph.node for name in node.output}
    for node in reversed(model.graph.node):  # chains of them: the last one decides
        inputs = [name for name in node.input if name in ranges]
        if node.op_type != "Concat" or node.output[0] not in ranges:
            continue
        whole = ranges[node.output[0]]
        kinds = {made_by.get(name) for name in inputs}
        if "Clip" not in kinds and not ("Relu" in kinds and whole.lowest.min() < 0):
            for name in inputs:
                ranges[name] = whole
    return ranges


@contextmanager
def _refused() -> Iterator[None]:
    """ONNX Runtime's quantizer raises whatever comes, and logs advice for its command line on the root logger."""
    try:
        with quiet():
            yield
    except Exception as error:
        raise NetslimError(f"ONNX Runtime can't quantise this network: {first_line(error)}") from error
