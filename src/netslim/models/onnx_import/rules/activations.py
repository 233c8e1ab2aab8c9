"""Functions of single numbers, and softmax."""

from __future__ import annotations

import operator as python
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F

from netslim.models.onnx_import.builder import Builder
from netslim.models.onnx_import.operators import Operator, operator
from netslim.models.onnx_import.values import Activation, Numbers, Value

_PLAIN: Mapping[str, Callable[..., Any]] = {
    **{"Relu": F.relu, "Sigmoid": torch.sigmoid, "Tanh": torch.tanh, "Erf": torch.erf, "Mish": F.mish},
    **{"HardSwish": F.hardswish, "Softplus": F.softplus, "Softsign": F.softsign, "Exp": torch.exp, "Log": torch.log},
    **{"Sqrt": torch.sqrt, "Abs": torch.abs, "Neg": torch.neg, "Reciprocal": torch.reciprocal, "Sign": torch.sign},
    **{"Round": torch.round, "Sin": torch.sin, "Cos": torch.cos, "Tan": torch.tan, "Atan": torch.atan},
    **{"IsNaN": torch.isnan, "Asin": torch.asin, "Acos": torch.acos},
    **{"Sinh": torch.sinh, "Cosh": torch.cosh, "Asinh": torch.asinh, "Acosh": torch.acosh, "Atanh": torch.atanh},
}
_WITH_ALPHA: Mapping[str, tuple[Callable[..., Any], float]] = {
    "LeakyRelu": (F.leaky_relu, 0.01),
    "Elu": (F.elu, 1.0),
    "Celu": (F.celu, 1.0),
}


@operator(*_PLAIN)
def plain(build: Builder, node: Operator) -> Value:
    """A function without settings."""
    return build.call(_PLAIN[node.kind], build.tensor(node.value()))  # type: ignore[no-any-return]


@operator("IsInf")
def is_infinite(build: Builder, node: Operator) -> Value:
    """Whether a number is infinite, on the sides that are asked for."""
    below, above = (bool(node.attributes.get(f"detect_{side}", 1)) for side in ("negative", "positive"))
    if below and above:
        return build.call(torch.isinf, node.value())  # type: ignore[no-any-return]
    if not below and not above:
        return build.call(torch.zeros_like, node.value(), dtype=torch.bool)  # type: ignore[no-any-return]
    return build.call(torch.isposinf if above else torch.isneginf, node.value())  # type: ignore[no-any-return]


@operator("Shrink")
def shrink(build: Builder, node: Operator) -> Value:
    """Numbers nearer to zero than `lambd` become zero, others come nearer by `bias`."""
    bias, border, given = float(node.attributes.get("bias", 0)), float(node.attributes.get("lambd", 0.5)), node.value()
    shifted = [build.call(torch.add, given, shift) for shift in (bias, -bias)]
    zero = build.call(torch.zeros_like, given)
    above = build.call(torch.where, build.call(torch.gt, given, border), shifted[1], zero)
    return build.call(torch.where, build.call(torch.lt, given, -border), shifted[0], above)  # type: ignore[no-any-return]


@operator("Swish", "com.microsoft:QuickGelu")
def swish(build: Builder, node: Operator) -> Value:
    """x times the sigmoid of alpha x."""
    alpha = float(node.attributes.get("alpha", 1.0 if node.kind == "Swish" else 1.702))
    if alpha == 1:
        return build.call(F.silu, node.value())  # type: ignore[no-any-return]
    gate = build.call(torch.sigmoid, build.call(torch.mul, node.value(), alpha))
    return build.call(torch.mul, node.value(), gate)  # type: ignore[no-any-return]


@operator("Hardmax")
def hardmax(build: Builder, node: Operator) -> Value:
    """One at the first of the largest along an axis, zero elsewhere."""
    given, axis = build.tensor(node.value()), int(node.attributes.get("axis", -1 if node.opset >= 13 else 1))
    dims = build.like(given).dim()
    if node.opset < 13 and axis % dims != dims - 1:
        raise node.refusal("is over several dimensions")
    largest = build.call(torch.argmax, given, axis, True)
    return build.call(torch.scatter, build.call(torch.zeros_like, given), axis, largest, 1.0)  # type: ignore[no-any-return]


@operator("Not")
def negated(build: Builder, node: Operator) -> Value:
    """The opposite, of what is known of sizes, too."""
    given = node.value()
    if isinstance(given, Numbers):
        return Numbers(tuple(build.number(python.not_, item) for item in given.items), scalar=given.scalar)
    return build.call(torch.logical_not, given)  # type: ignore[no-any-return]


@operator(*_WITH_ALPHA)
def with_alpha(build: Builder, node: Operator) -> Value:
    """A function with one slope."""
    function, usual = _WITH_ALPHA[node.kind]
    return build.call(function, node.value(), float(node.attributes.get("alpha", usual)))  # type: ignore[no-any-return]


@operator("Identity", "Dropout")
def identity(build: Builder, node: Operator) -> Value | list[Value]:  # noqa: ARG001
    """The input; dropout does nothing in inference."""
    if len(node.outputs) > 1 and node.outputs[1]:
        raise node.refusal("gives its mask")
    return node.value()


@operator("Gelu", "com.microsoft:Gelu")
def gelu(build: Builder, node: Operator) -> Value:
    """x times the normal distribution's cumulative function, or its approximation by tanh."""
    return build.call(F.gelu, node.value(), approximate=node.attributes.get("approximate", "none"))  # type: ignore[no-any-return]


@operator("Selu")
def selu(build: Builder, node: Operator) -> Value:
    """gamma * elu(x, alpha)."""
    alpha = float(node.attributes.get("alpha", 1.67326319217681884765625))
    gamma = float(node.attributes.get("gamma", 1.05070102214813232421875))
    return build.call(torch.mul, build.call(F.elu, node.value(), alpha), gamma)  # type: ignore[no-any-return]


@operator("HardSigmoid")
def hard_sigmoid(build: Builder, node: Operator) -> Value:
    """max(0, min(1, alpha x + beta)); torch has it for alpha 1/6."""
    alpha, beta = float(node.attributes.get("alpha", 0.2)), float(node.attributes.get("beta", 0.5))
    given = node.value()
    if abs(alpha - 1 / 6) < 1e-6 and beta == 0.5:
        return build.call(F.hardsigmoid, given)  # type: ignore[no-any-return]
    line = build.call(torch.add, build.call(torch.mul, given, alpha), beta)
    return build.call(torch.clamp, line, 0.0, 1.0)  # type: ignore[no-any-return]


@operator("ThresholdedRelu")
def thresholded_relu(build: Builder, node: Operator) -> Value:
    """x above alpha, else zero."""
    return build.call(F.threshold, node.value(), float(node.attributes.get("alpha", 1)), 0.0)  # type: ignore[no-any-return]


@operator("Clip")
def clip(build: Builder, node: Operator) -> Value:
    """Bounds, attributes before operator set 11, inputs since; the network may compute them."""
    if isinstance(node.value(), Numbers):
        return node.value()
    found: Any = build.tensor(node.value())
    limits: dict[str, float] = {}
    for place, name, function in ((1, "min", torch.maximum), (2, "max", torch.minimum)):
        bound = node.attributes.get(name, node.input(place))
        if isinstance(bound, Activation):
            found = build.call(function, found, bound)
        elif bound is not None:
            limits[name] = float(bound) if isinstance(bound, float | int) else node.constant(place).item()  # type: ignore[union-attr]
    if limits.get("max", 0) >= 3e38:
        del limits["max"]
    return build.call(torch.clamp, found, **limits) if limits else found  # type: ignore[no-any-return]


@operator("Softmax", "LogSoftmax")
def softmax(build: Builder, node: Operator) -> Value:
    """Over one axis; before operator set 13 over all from the axis on."""
    function = torch.softmax if node.kind == "Softmax" else torch.log_softmax
    given = build.tensor(node.value())
    dims = build.like(given).dim()
    axis = int(node.attributes.get("axis", -1 if node.opset >= 13 else 1))
    if node.opset >= 13 or axis % dims == dims - 1:
        return build.call(function, given, axis)  # type: ignore[no-any-return]
    if build.like(given).shape[axis % dims + 1 :].numel() == 1:
        return build.call(function, given, axis)  # type: ignore[no-any-return]
    flat = build.call(torch.flatten, given, axis % dims)
    return build.call(torch.unflatten, build.call(function, flat, -1), axis % dims, build.like(given).shape[axis:])  # type: ignore[no-any-return]
