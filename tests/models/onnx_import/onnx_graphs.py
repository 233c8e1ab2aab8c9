"""Small ONNX files, and what ONNX Runtime makes of them."""

from pathlib import Path

import numpy as np
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

from netslim.core.networks.example import Inputs
from netslim.dependency.find_groups import find_groups
from netslim.models.onnx_import import load_onnx, source_of

FLOAT, HALF, INT64 = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT64


def numbers(*shape, seed=0, kind=np.float32):
    return np.random.default_rng(seed).normal(size=shape).astype(kind)


def made(nodes, inputs, outputs, tensors, opset=17, kind=FLOAT, ir_version=8, producer="test"):
    """A model; `inputs` are names with shapes, `tensors` names with arrays."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in inputs.items()],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in tensors.items()],
    )
    domains = [helper.make_opsetid("", opset)]
    domains += [helper.make_opsetid(domain, 1) for domain in sorted({node.domain for node in nodes} - {""})]
    model = helper.make_model(graph, opset_imports=domains, producer_name=producer)
    model.ir_version = ir_version
    return model


def written(path: Path, model) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


def session_of(model: bytes | str):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def difference(path: Path, network, model: bytes | str | None = None, batches=(1, 2, 3)) -> float:
    """The largest difference of an output, in units of the output's own size where that is above 1."""
    source, session, worst = source_of(network), session_of(model or str(path)), 0.0
    for batch in batches if source.inputs[0].free[:1] == (True,) else (None,):
        example = source.example(batch)
        given = example if isinstance(example, tuple) else (example,)
        named = {port.name: each.to(port.dtype).numpy() for port, each in zip(source.inputs, given, strict=True)}
        with torch.no_grad():
            found = network(*given)
        for right, own in zip(session.run(None, named), found if isinstance(found, tuple) else (found,), strict=True):
            assert tuple(own.shape) == right.shape
            gap = np.abs(right.astype(np.float64) - own.double().numpy())
            worst = max(worst, float(gap.max(initial=0)) / max(1.0, float(np.abs(right).max(initial=0))))
    return worst


def read(path: Path, model, input_shape=None):
    return load_onnx(written(path, model), input_shape)


def groups_of(network):
    """Channels that can go together."""
    return find_groups(network, Inputs.of(source_of(network).example())).groups


WEIGHTS = {
    "conv.weight": numbers(4, 3, 3, 3),
    "conv.bias": numbers(4),
    "fc.weight": numbers(5, 4),
    "fc.bias": numbers(5),
}


def classifier(**settings):
    """Convolution, ReLU, pooling, linear layer."""
    nodes = [
        helper.make_node("Conv", ["x", "conv.weight", "conv.bias"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "fc.weight", "fc.bias"], ["y"], transB=1),
    ]
    inputs = settings.pop("inputs", {"x": ["n", 3, 8, 8]})
    return made(nodes, inputs, settings.pop("outputs", ["y"]), settings.pop("tensors", WEIGHTS), **settings)
