"""Models of one operator, or of a few."""

import numpy as np
import pytest
from onnx import helper
from onnx_graphs import difference, made, numbers, read

IMAGE = ["n", 6, 8, 10]


def case(kind, *, inputs=None, tensors=None, opset=17, outputs=1, name="", order=None, **attributes):
    """One node `kind`: of input `x` and then of the tensors; or of `order`."""
    inputs, tensors = inputs or {"x": IMAGE}, tensors or {}
    names = [f"y{number}" for number in range(outputs)]
    node = helper.make_node(kind, order or [*inputs, *tensors], names, **attributes)
    return pytest.param(made([node], inputs, names, tensors, opset), id=f"{kind}{name and '-'}{name}-{opset}")


def slowly(*cases):
    """The same, for the campaigns."""
    return [pytest.param(*each.values, id=each.id, marks=pytest.mark.slow) for each in cases]


def ints(*values):
    return np.array(values, dtype=np.int64)


def f32(*values):
    return np.array(values, dtype=np.float32)


def conv(*shape, bias=True):
    return {"w": numbers(*shape), **({"b": numbers(shape[0])} if bias else {})}


# What a chain may take besides `x`.
TENSORS = {
    **{"zero": f32(0), "one": f32(1), "half": f32(0.5), "none": f32(0, 1).repeat(5), "rest": ints(-1, 10)},
    **{name: ints(number) for name, number in (("first", 0), ("second", 1), ("two", 2), ("four", 4))},
}


def chain(name, text):
    """Nodes from `x` to `y`: kind, inputs, `>`, output and attributes; `_` is an input that is left out."""
    return pytest.param(made([*_nodes_of(text)], {"x": IMAGE}, ["y"], TENSORS), id=name)


def _nodes_of(text):
    for line in text.split("; "):
        before, after = (part.split() for part in line.split(">"))
        attributes = dict(word.split("=") for word in after[1:])
        typed = {key: int(value) if value.isdigit() else value for key, value in attributes.items()}
        inputs = ["" if name == "_" else name for name in before[1:]]
        yield helper.make_node(before[0], inputs, after[:1], **typed)


def check(model, folder):
    """The network that is read from a file computes what ONNX Runtime computes of it."""
    network = read(folder / "net.onnx", model)
    assert difference(folder / "net.onnx", network) < 1e-5
