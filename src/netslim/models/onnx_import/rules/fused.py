"""Operators of ONNX Runtime's own, which its optimizer writes: several of ONNX's in one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F

from netslim.models.onnx_import.builder import Builder
from netslim.models.onnx_import.operators import Operator, operator
from netslim.models.onnx_import.rules.layers import conv, gemm
from netslim.models.onnx_import.values import Value

_DOMAIN = "com.microsoft"
_AFTER: Mapping[str, Callable[..., Any]] = {
    **{"Relu": F.relu, "Tanh": torch.tanh, "Sigmoid": torch.sigmoid, "LeakyRelu": F.leaky_relu, "Clip": torch.clamp},
    **{"HardSigmoid": F.hardsigmoid},
}


@operator(f"{_DOMAIN}:FusedConv")
def fused_conv(build: Builder, node: Operator) -> Value:
    """A convolution, what is added to it, and an activation."""
    made: Any = conv(build, dataclasses.replace(node, inputs=node.inputs[:3]))
    if node.input(3) is not None:
        made = build.call(torch.add, made, node.value(3))
    return _activated(build, node, made, [float(number) for number in node.attributes.get("activation_params", ())])


@operator(f"{_DOMAIN}:FusedGemm")
def fused_gemm(build: Builder, node: Operator) -> Value:
    """A linear layer and an activation."""
    settings = [float(node.attributes[name]) for name in ("activation_alpha",) if name in node.attributes]
    return _activated(build, node, gemm(build, node), settings)


def _activated(build: Builder, node: Operator, value: Any, settings: list[float]) -> Value:
    kind = node.attributes.get("activation", "")
    if not kind:
        return value  # type: ignore[no-any-return]
    sixth = kind == "HardSigmoid" and (abs(settings[0] - 1 / 6) > 1e-6 or settings[1] != 0.5)
    if kind not in _AFTER or sixth:
        raise node.refusal(f"has activation {kind} {settings}, which is not known")
    return build.call(_AFTER[kind], value, *([] if kind == "HardSigmoid" else settings))  # type: ignore[no-any-return]


@operator(f"{_DOMAIN}:FusedMatMul")
def fused_matmul(build: Builder, node: Operator) -> Value:
    """A product of matrices that are turned before, times a number."""
    if node.attributes.get("transBatchA", 0) or node.attributes.get("transBatchB", 0):
        raise node.refusal("turns batches")
    sides = [build.tensor(node.value(place)) for place in (0, 1)]
    for at, name in enumerate(("transA", "transB")):
        if node.attributes.get(name, 0) and build.like(sides[at]).dim() > 1:
            sides[at] = build.call(torch.transpose, sides[at], -1, -2)
    product = build.call(torch.matmul, *sides)
    alpha = float(node.attributes.get("alpha", 1.0))
    return product if alpha == 1 else build.call(torch.mul, product, alpha)  # type: ignore[no-any-return]


@operator(f"{_DOMAIN}:BiasGelu", f"{_DOMAIN}:FastGelu")
def bias_gelu(build: Builder, node: Operator) -> Value:
    """GELU of a sum; the fast one by its approximation."""
    given = node.value() if node.input(1) is None else build.call(torch.add, node.value(), node.value(1))
    return build.call(F.gelu, given, approximate="tanh" if node.kind.endswith("FastGelu") else "none")  # type: ignore[no-any-return]
