"""Operators that ONNX Runtime's optimizer writes: as in ONNX Runtime."""

import pytest
from onnx_graphs import numbers
from operator_cases import case, check, conv

from netslim.core.errors import CheckpointError

FLAT, SUMMED = {"x": ["n", 6]}, {"x": ["n", 6, 8, 10], "z": ["n", 4, 8, 10]}


def fused(kind, **settings):
    return case(kind, domain="com.microsoft", **settings)


def activated(kind, settings):
    return fused("FusedConv", tensors=conv(4, 6, 3, 3), activation=kind, activation_params=settings, name=kind)


CASES = [
    *(fused("FusedConv", tensors=conv(4, 6, 3, 3), activation=kind, name=kind) for kind in ("Relu", "Tanh", "Sigmoid")),
    *(activated(kind, settings) for kind, settings in (("LeakyRelu", [0.3]), ("Clip", [0.0, 6.0]))),
    activated("HardSigmoid", [1 / 6, 0.5]),
    fused("FusedConv", inputs=SUMMED, tensors=conv(4, 6, 1, 1), order=["x", "w", "b", "z"], activation="Relu"),
    fused("FusedGemm", inputs=FLAT, tensors={"w": numbers(4, 6), "b": numbers(4)}, transB=1, activation="Relu"),
    fused(
        "FusedGemm",
        inputs=FLAT,
        tensors={"w": numbers(6, 4), "b": numbers(4)},
        activation="LeakyRelu",
        activation_alpha=0.2,
        name="leaky",
    ),
    fused("FusedMatMul", inputs={"x": ["n", 5, 6], "z": ["n", 4, 6]}, transB=1, alpha=0.5),
    fused("FusedMatMul", inputs={"x": ["n", 6, 5], "z": ["n", 6, 4]}, transA=1, name="first"),
    fused("BiasGelu", inputs=FLAT, tensors={"b": numbers(6)}),
    fused("FastGelu", inputs=FLAT, tensors={"b": numbers(6)}),
    fused("FastGelu", inputs=FLAT, name="plain"),
]


@pytest.mark.parametrize("model", CASES)
def test_it_computes_what_onnx_runtime_computes(model, tmp_path):
    check(model, tmp_path)


def test_another_activation_is_refused(tmp_path):
    model = fused("FusedConv", tensors=conv(4, 6, 3, 3), activation="HardSigmoid", activation_params=[0.2, 0.5])
    with pytest.raises(CheckpointError, match=r"has activation HardSigmoid \[0\.2\d*, 0\.5\], which is not known"):
        check(model.values[0], tmp_path)
