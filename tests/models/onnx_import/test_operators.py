"""Every operator against ONNX Runtime."""

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx_graphs import difference, made, numbers, read

from netslim.models.onnx_import.operators import OPERATORS

IMAGE = ["n", 6, 8, 10]


def case(kind, *, inputs=None, tensors=None, opset=17, outputs=1, name="", order=None, **attributes):
    """One node `kind`: of input `x` and then of the tensors; or of `order`."""
    inputs, tensors = inputs or {"x": IMAGE}, tensors or {}
    names = [f"y{number}" for number in range(outputs)]
    node = helper.make_node(kind, order or [*inputs, *tensors], names, **attributes)
    return pytest.param(made([node], inputs, names, tensors, opset), id=f"{kind}{name and '-'}{name}-{opset}")


def ints(*values):
    return np.array(values, dtype=np.int64)


def f32(*values):
    return np.array(values, dtype=np.float32)


def conv(*shape, bias=True):
    return {"w": numbers(*shape), **({"b": numbers(shape[0])} if bias else {})}


def recurrent(directions):
    shapes = {"w": (directions, 20, 4), "r": (directions, 20, 5), "b": (directions, 40)}
    return {name: 0.3 * numbers(*shape, seed=at) for at, (name, shape) in enumerate(shapes.items())}


LAYERS = [
    case("Conv", tensors=conv(4, 6, 3, 3), pads=[1, 1, 1, 1], strides=[2, 2]),
    case("Conv", tensors=conv(4, 3, 3, 3, bias=False), group=2, dilations=[2, 1], name="grouped"),
    case("Conv", tensors=conv(4, 6, 3, 2), pads=[0, 1, 2, 1], name="uneven"),
    case("Conv", tensors=conv(4, 6, 3, 3), auto_pad="SAME_UPPER", strides=[2, 3], name="same-upper"),
    case("Conv", tensors=conv(4, 6, 2, 2), auto_pad="SAME_LOWER", name="same-lower"),
    case("Conv", tensors=conv(4, 6, 3, 3), auto_pad="VALID", name="valid"),
    case("Conv", inputs={"x": ["n", 6, 9]}, tensors=conv(4, 6, 3), pads=[1, 1], name="1d"),
    case("Conv", inputs={"x": ["n", 2, 5, 6, 7]}, tensors=conv(4, 2, 3, 3, 3), name="3d"),
    case("ConvTranspose", tensors={"w": numbers(6, 4, 3, 3), "b": numbers(4)}, strides=[2, 2], pads=[1, 1, 1, 1]),
    case(
        "ConvTranspose",
        tensors={"w": numbers(6, 2, 3, 3)},
        strides=[2, 2],
        group=2,
        output_padding=[1, 1],
        name="grouped",
    ),
    case("ConvTranspose", tensors={"w": numbers(6, 4, 3, 3)}, strides=[2, 2], pads=[0, 1, 1, 1], name="uneven"),
    case("Gemm", inputs={"x": ["n", 6]}, tensors={"w": numbers(4, 6), "b": numbers(4)}, transB=1),
    case("Gemm", inputs={"x": ["n", 6]}, tensors={"w": numbers(6, 4), "b": numbers(1, 4)}, name="row"),
    case(
        "Gemm",
        inputs={"x": ["n", 6]},
        tensors={"w": numbers(4, 6), "b": numbers(4)},
        transB=1,
        alpha=0.5,
        beta=2.0,
        name="scaled",
    ),
    case("Gemm", inputs={"x": [6, 2]}, tensors={"w": numbers(6, 4)}, transA=1, name="turned"),
    case("MatMul", inputs={"x": ["n", 5, 6]}, tensors={"w": numbers(6, 4)}),
    case("MatMul", inputs={"x": ["n", 5, 6], "z": ["n", 6, 4]}, name="two"),
    case(
        "BatchNormalization",
        tensors={"s": numbers(6), "b": numbers(6, seed=1), "m": numbers(6, seed=2), "v": np.abs(numbers(6)) + 0.1},
    ),
    case("InstanceNormalization", tensors={"s": numbers(6), "b": numbers(6, seed=1)}, epsilon=1e-3),
    case("LayerNormalization", inputs={"x": ["n", 5, 6]}, tensors={"s": numbers(6), "b": numbers(6, seed=1)}),
    case("LayerNormalization", inputs={"x": ["n", 5, 6]}, tensors={"s": numbers(5, 6)}, axis=1, name="two-dims"),
    case("GroupNormalization", tensors={"s": numbers(6), "b": numbers(6, seed=1)}, num_groups=3, opset=21),
    case("LRN", size=3, alpha=0.01, beta=0.6, bias=2.0),
    case("LSTM", inputs={"x": [7, 2, 4]}, tensors=recurrent(2), hidden_size=5, direction="bidirectional", outputs=3),
    case("LSTM", inputs={"x": [7, 2, 4]}, tensors=recurrent(1), hidden_size=5, name="forward"),
    case("PRelu", tensors={"slope": numbers(6, 1, 1)}),
    case("PRelu", tensors={"slope": numbers(1)}, name="one"),
    case("PRelu", tensors={"slope": numbers(6, 8, 10)}, name="per-pixel"),
]

FUNCTIONS = [
    *(
        case(kind)
        for kind in ("Relu", "Sigmoid", "Tanh", "Erf", "HardSwish", "Softplus", "Softsign", "Exp", "Abs", "Neg")
    ),
    *(
        case(kind)
        for kind in ("Sign", "Round", "Sin", "Cos", "Tan", "Atan", "IsNaN", "Floor", "Ceil", "Identity", "Dropout")
    ),
    *(case(kind) for kind in ("HardSigmoid", "LeakyRelu", "Elu", "Celu", "Selu", "ThresholdedRelu", "Reciprocal")),
    case("Mish", opset=18),
    case("Gelu", opset=20),
    case("Gelu", opset=20, approximate="tanh", name="tanh"),
    case("HardSigmoid", alpha=1 / 6, beta=0.5, name="torch's"),
    case("LeakyRelu", alpha=0.3, name="alpha"),
    case("Clip", tensors={"low": f32(-0.5).reshape(()), "high": f32(0.5).reshape(())}),
    case("Clip", min=-0.5, max=0.5, opset=7, name="attributes"),
    case("Softmax", axis=1),
    case("Softmax", axis=2, opset=11, name="flat"),
    case("LogSoftmax", axis=-1),
]

ARITHMETIC = [
    *(
        case(kind, inputs={"x": IMAGE, "z": IMAGE}, name="two")
        for kind in ("Add", "Sub", "Mul", "Div", "Max", "Min", "Mean", "Sum")
    ),
    *(case(kind, tensors={"c": numbers(1, 6, 1, 1)}, name="channels") for kind in ("Add", "Sub", "Mul", "Div")),
    *(case(kind, tensors={"c": f32(3)}, name="number") for kind in ("Add", "Sub", "Mul", "Div")),
    case("Pow", tensors={"c": f32(2.0).reshape(())}),
    case("Sub", order=["c", "x"], tensors={"c": f32(1)}, name="from"),
    case("Div", order=["c", "x"], tensors={"c": f32(1)}, name="of"),
    case("Mod", tensors={"c": f32(0.7)}, fmod=1),
    case("CumSum", tensors={"axis": np.array(1, dtype=np.int32)}),
    case("Greater", tensors={"c": f32(0.1)}),
    case("LessOrEqual", tensors={"c": f32(0.1)}),
]

POOLS = [
    case("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    case("MaxPool", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1, name="ceil"),
    case("MaxPool", kernel_shape=[3, 2], pads=[0, 1, 1, 0], name="uneven"),
    case("MaxPool", kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER", name="same"),
    case("MaxPool", inputs={"x": ["n", 6, 9]}, kernel_shape=[3], dilations=[2], name="1d"),
    case("AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    case("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1, name="counted"),
    case("AveragePool", kernel_shape=[3, 2], pads=[0, 1, 1, 0], name="uneven"),
    case("AveragePool", kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER", name="same"),
    case("GlobalAveragePool"),
    case("GlobalMaxPool"),
    *(case(kind, axes=[2, 3], keepdims=0) for kind in ("ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2")),
    case("ReduceSum", tensors={"axes": ints(1, -1)}),
    case("ReduceMean", tensors={"axes": ints(2, 3)}, opset=18),
    case("ReduceSumSquare", axes=[1]),
    case("ReduceLogSumExp", axes=[1]),
    case("ReduceProd", axes=[1], keepdims=0),
    case("ReduceMean", name="all"),
    case("ArgMax", axis=1),
    case("ArgMin", axis=-1, keepdims=0),
    case("TopK", tensors={"k": ints(3)}, outputs=2),
]

MOVEMENT = [
    case("Concat", inputs={"x": IMAGE, "z": IMAGE}, axis=1),
    case("Split", tensors={"sizes": ints(2, 4)}, axis=1, outputs=2),
    case("Split", split=[3, 3], axis=1, outputs=2, opset=11, name="equal"),
    case("Split", axis=3, outputs=4, num_outputs=4, opset=18, name="uneven"),
    case("Slice", tensors={"b": ints(1, 0), "e": ints(2**62, -1), "a": ints(1, 3), "s": ints(2, 1)}),
    case("Slice", starts=[1], ends=[5], axes=[1], opset=9),
    case("Slice", tensors={"b": ints(-1), "e": ints(-(2**62)), "a": ints(2), "s": ints(-1)}, name="turned"),
    case("Slice", tensors={"b": ints(-2), "e": ints(-100), "a": ints(3), "s": ints(-2)}, name="backwards"),
    case("Pad", tensors={"p": ints(0, 0, 1, 2, 0, 0, 0, 3), "v": f32(0.5).reshape(())}),
    case("Pad", pads=[0, 1, 0, 0, 0, 2, 0, 0], value=1.5, opset=9, name="channels"),
    case("Pad", tensors={"p": ints(0, 0, 1, 2, 0, 0, 1, 3)}, mode="reflect", name="mirror"),
    case("Pad", tensors={"p": ints(0, 0, 1, 2, 0, 0, 1, 3)}, mode="edge", name="edge"),
    case("Transpose", perm=[0, 2, 3, 1]),
    case("Gather", tensors={"i": ints(0, -1, 2)}, axis=1),
    case("Gather", tensors={"i": np.array(2)}, axis=1, name="one"),
    case("Gather", tensors={"i": ints(0, 1, 2, 3).reshape(2, 2)}, axis=3, name="table"),
    case("GatherND", tensors={"i": ints(0, 1, 1, 3, 0, 5).reshape(3, 2)}, inputs={"x": [2, 6, 8]}),
    case("Tile", tensors={"r": ints(1, 2, 1, 1)}),
    case("DepthToSpace", inputs={"x": ["n", 8, 3, 4]}, blocksize=2),
    case("DepthToSpace", inputs={"x": ["n", 8, 3, 4]}, blocksize=2, mode="CRD", name="crd"),
    case("SpaceToDepth", blocksize=2),
    case("Squeeze", inputs={"x": ["n", 6, 1, 1]}, tensors={"a": ints(2, 3)}),
    case("Squeeze", inputs={"x": ["n", 6, 1, 1]}, axes=[3], opset=11),
    case("Unsqueeze", tensors={"a": ints(0, -1)}),
    case("Unsqueeze", axes=[2], opset=11),
    case("Flatten"),
    case("Flatten", axis=0, name="all"),
    case("Reshape", tensors={"s": ints(0, -1)}),
    case("Reshape", tensors={"s": ints(-1, 480)}, name="number"),
    case("Reshape", tensors={"s": ints(0, 2, 3, 8, 10)}, name="groups"),
    case("Reshape", tensors={"s": ints(0, 6, 80)}, name="tokens"),
    case("Expand", inputs={"x": ["n", 6, 1, 1]}, tensors={"s": ints(1, 6, 4, 5)}),
    case("Cast", to=TensorProto.INT32),
]

SIZED = {"scales": f32(1, 1, 2, 2)}
RESIZES = [
    *(
        case(
            "Resize",
            order=["x", "", "scales"],
            tensors=SIZED,
            mode=mode,
            coordinate_transformation_mode=rule,
            name=f"{mode}-{rule}",
        )
        for mode, rule in (
            ("linear", "half_pixel"),
            ("linear", "pytorch_half_pixel"),
            ("linear", "align_corners"),
            ("linear", "asymmetric"),
            ("nearest", "half_pixel"),
            ("nearest", "asymmetric"),
            ("cubic", "half_pixel"),
        )
    ),
    *(
        case(
            "Resize",
            order=["x", "", "", "sizes"],
            tensors={"sizes": ints(2, 6, 12, 7)},
            inputs={"x": [2, 6, 8, 10]},
            name=f"{mode}-sizes",
            mode=mode,
            nearest_mode=rounding,
            coordinate_transformation_mode=rule,
        )
        for mode, rule, rounding in (
            ("linear", "half_pixel", "floor"),
            ("nearest", "asymmetric", "floor"),
            ("nearest", "half_pixel", "round_prefer_ceil"),
            ("nearest", "align_corners", "ceil"),
        )
    ),
    case("Upsample", tensors={"scales": f32(1, 1, 2, 3)}, mode="nearest", opset=9),
    case("Upsample", scales=[1.0, 1.0, 2.0, 2.0], mode="nearest", opset=7),
    case("Resize", tensors={"scales": f32(1, 1, 2, 3)}, mode="nearest", opset=10),
]


@pytest.mark.parametrize("model", [*LAYERS, *FUNCTIONS, *ARITHMETIC, *POOLS, *MOVEMENT, *RESIZES])
def test_an_operator_computes_what_onnx_runtime_computes(model, tmp_path):
    network = read(tmp_path / "net.onnx", model)
    assert difference(tmp_path / "net.onnx", network) < 1e-5


# Kind, inputs, `>`, output and attributes; `_` is an input that is left out.
SMALL = {
    "logic": "Greater x zero > a; Less x one > b; And a b > c; Not c > d; Where d x zero > y",
    "or": "Greater x one > a; Less x zero > b; Or a b > c; Xor c b > d; Cast d > y to=1",
    "equal": "Cast x > i to=7; Cast one > k to=7; Equal i k > e; Cast e > y to=1",
    "whole division": "Cast x > i to=7; Constant > k value_int=3; Div i k > q; CastLike q x > y",
    "roots": "Abs x > a; Sqrt a > s; Add s one > t; Log t > y",
    "arcs": "Tanh x > t; Asin t > a; Acos t > b; GreaterOrEqual a b > c; Where c a b > y",
    "view of sizes": "Shape x > s; Gather s first > n; Concat n rest > to axis=0; Reshape x to > y",
    "zeros of sizes": "Shape x > s; ConstantOfShape s > z; Add x z > y",
    "size": "Size first > n; Cast n > f to=1; Mul x f > y",
    "sizes computed": "Shape x > s; Slice s two four > hw; Mul hw two > big; Slice s first two > nc; "
    "Concat nc big > to axis=0; Resize x _ _ to > y coordinate_transformation_mode=asymmetric nearest_mode=floor",
    "range": "Constant > b value_int=0; Constant > e value_int=10; Constant > d value_int=1; Range b e d > r; "
    "Cast r > f to=1; Mul x f > y",
}
TENSORS = {
    **{"zero": f32(0), "one": f32(1), "first": ints(0), "rest": ints(-1, 10), "two": ints(2), "four": ints(4)},
}


def nodes_of(text):
    for line in text.split("; "):
        before, after = (part.split() for part in line.split(">"))
        attributes = dict(word.split("=") for word in after[1:])
        typed = {key: int(value) if value.isdigit() else value for key, value in attributes.items()}
        inputs = ["" if name == "_" else name for name in before[1:]]
        yield helper.make_node(before[0], inputs, after[:1], **typed)


@pytest.mark.parametrize("name", SMALL)
def test_operators_together_compute_what_onnx_runtime_computes(name, tmp_path):
    network = read(tmp_path / "net.onnx", made([*nodes_of(SMALL[name])], {"x": IMAGE}, ["y"], TENSORS))
    assert difference(tmp_path / "net.onnx", network) < 1e-5


def test_every_operator_is_proven_here():
    proven = {
        param.values[0].graph.node[0].op_type
        for param in [*LAYERS, *FUNCTIONS, *ARITHMETIC, *POOLS, *MOVEMENT, *RESIZES]
    }
    proven |= {node.op_type for text in SMALL.values() for node in nodes_of(text)}
    assert {kind for kind in OPERATORS if ":" not in kind} - proven == set()
