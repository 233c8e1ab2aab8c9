"""BatchNorms that are left in an ONNX graph as depthwise 1x1 convolutions, for which there are kernels in int8.

In front of convolutions (pre-activation) a BatchNorm can't be folded into the layer before it. ONNX Runtime has no
kernel in int8 for it, so that what lies between two layers in int8 would be turned into float and back. One weight per
channel, with a scale of its own, is rounded to nothing else than itself.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

WEIGHT = ".as_convolution.weight"  # how the names of their weights end
_LEAST = 1e-4  # of the largest factor: with none at all the steps of a channel's bias would be those of its input


def norms_as_convolutions(model: Any) -> Any:
    """A copy of an ONNX model in which every BatchNorm over images (N, C, H, W) is a convolution.

    Those whose statistics are computed by the graph stay, as do those of signals and volumes.

    Args:
        model: with the shapes of its tensors (`onnx.shape_inference`).
    """
    from onnx import helper, numpy_helper

    model = copy.deepcopy(model)
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    values = [*graph.input, *graph.value_info]
    images = {value.name for value in values if len(value.type.tensor_type.shape.dim) == 4}
    taken_in: set[str] = set()
    for place, node in enumerate(graph.node):
        if node.op_type != "BatchNormalization" or node.input[0] not in images or len(node.output) != 1:
            continue
        statistics = list(node.input[1:])
        if not all(name in constants for name in statistics):
            continue
        scale, shift, mean, variance = (numpy_helper.to_array(constants[name]) for name in statistics)
        epsilon = next((given.f for given in node.attribute if given.name == "epsilon"), 1e-5)
        factor = scale.astype(np.float64) / np.sqrt(variance.astype(np.float64) + epsilon)
        least = _LEAST * np.abs(factor).max()
        if not least:
            continue
        name = node.output[0]
        tensors = {
            f"{name}{WEIGHT}": np.where(np.abs(factor) < least, least, factor).reshape(-1, 1, 1, 1),
            f"{name}.as_convolution.bias": shift - mean * factor,
        }
        graph.initializer.extend(
            numpy_helper.from_array(values.astype(scale.dtype), key) for key, values in tensors.items()
        )
        inputs = [node.input[0], *tensors]
        conv = helper.make_node("Conv", inputs, [name], node.name, kernel_shape=[1, 1], group=len(factor))
        graph.node[place].CopyFrom(conv)
        taken_in.update(statistics)
    read = {name for node in graph.node for name in node.input}
    for name in taken_in - read:  # ONNX Runtime warns of what nothing reads
        graph.initializer.remove(constants[name])
    return model
