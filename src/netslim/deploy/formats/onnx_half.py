"""ONNX models with weights in half precision: half the size, for whoever casts them back or multiplies in it."""

from __future__ import annotations

from typing import Any

import numpy as np

from netslim.core.errors import NetslimError
from netslim.deploy.formats.onnx_hash import with_facts

LARGEST = 65504.0


def halved(content: bytes) -> bytes:
    """A float32 model with all weights of two dimensions or more as float16, each before a Cast.

    Inputs, outputs, biases and what is computed stay float32. ONNX Runtime casts once, when it reads the file; TensorRT
    and other run times that are allowed to compute in float16 take them as they are.

    Raises:
        NetslimError: a weight is larger than float16's largest number.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load_from_string(content)
    casts: list[Any] = []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or len(tensor.dims) < 2:
            continue
        values, name = numpy_helper.to_array(tensor), tensor.name
        if np.abs(values).max(initial=0.0) > LARGEST:
            raise NetslimError(f"{name} has a weight above {LARGEST:g}, which float16 can't hold; leave `half` out")
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], name=f"{name}.cast", to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    return with_facts(model, {"half": True})
