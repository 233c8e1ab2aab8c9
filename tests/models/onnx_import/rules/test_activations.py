"""Functions of single numbers, and softmax: as in ONNX Runtime."""

import pytest
from operator_cases import case, chain, check, f32

CASES = [
    *(
        case(kind)
        for kind in ("Relu", "Sigmoid", "Tanh", "Erf", "HardSwish", "Softplus", "Softsign", "Exp", "Abs", "Neg")
    ),
    *(case(kind) for kind in ("Sign", "Round", "Sin", "Cos", "Tan", "Atan", "IsNaN", "Identity", "Dropout")),
    *(case(kind) for kind in ("HardSigmoid", "LeakyRelu", "Elu", "Celu", "Selu", "ThresholdedRelu", "Reciprocal")),
    *(case(kind) for kind in ("Sinh", "Cosh", "Asinh", "Hardmax")),
    case("Hardmax", axis=1, name="channels"),
    case("Shrink", lambd=0.7, bias=0.2),
    case("Swish", alpha=1.3, opset=24),
    case("QuickGelu", domain="com.microsoft", alpha=1.5),
    chain("more arcs", "Abs x > a; Add a one > b; Acosh b > c; Tanh x > t; Mul t half > h; Atanh h > d; Add c d > y"),
    *(
        chain(
            f"infinite {low}{high}",
            f"Div x none > q; IsInf q > i detect_negative={low} detect_positive={high}; Cast i > y to=1",
        )
        for low in "01"
        for high in "01"
    ),
    case("Mish", opset=18),
    case("Gelu", opset=20),
    case("Gelu", opset=20, approximate="tanh", name="tanh"),
    case("HardSigmoid", alpha=1 / 6, beta=0.5, name="torch's"),
    case("LeakyRelu", alpha=0.3, name="alpha"),
    case("Clip", tensors={"low": f32(-0.5).reshape(()), "high": f32(0.5).reshape(())}),
    case("Clip", min=-0.5, max=0.5, opset=7, name="attributes"),
    chain("computed bounds", "ReduceMean x > m keepdims=0; ReduceMax x > h keepdims=0; Clip x m h > y"),
    chain("one computed bound", "ReduceMean x > m keepdims=0; Clip x _ m > y"),
    case("Softmax", axis=1),
    case("Softmax", axis=2, opset=11, name="flat"),
    case("LogSoftmax", axis=-1),
    chain("roots", "Abs x > a; Sqrt a > s; Add s one > t; Log t > y"),
    chain("arcs", "Tanh x > t; Asin t > a; Acos t > b; GreaterOrEqual a b > c; Where c a b > y"),
]


@pytest.mark.parametrize("model", CASES)
def test_it_computes_what_onnx_runtime_computes(model, tmp_path):
    check(model, tmp_path)
