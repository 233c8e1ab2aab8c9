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
    chain("roots", "Abs x > a; Sqrt a > s; Add s one > t; Log t > y"),
    chain("arcs", "Tanh x > t; Asin t > a; Acos t > b; GreaterOrEqual a b > c; Where c a b > y"),
]


@pytest.mark.parametrize("model", CASES)
def test_it_computes_what_onnx_runtime_computes(model, tmp_path):
    check(model, tmp_path)
