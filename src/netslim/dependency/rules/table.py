"""Which rule an operation has: one for each kind of operation of torch's ATen set.

A rule gets the state and a call, unites and freezes labels, and says what each tensor of the result carries.
"""

from __future__ import annotations

import torch

from netslim.dependency.channel_state import Rule
from netslim.dependency.rules.elementwise import elementwise, gated
from netslim.dependency.rules.fallback import unknown
from netslim.dependency.rules.layers import LAYERS
from netslim.dependency.rules.movement import MOVEMENT
from netslim.dependency.rules.picking import PICKING
from netslim.dependency.rules.reductions import POOLED, REDUCTIONS, pooled
from netslim.dependency.rules.spreading import SPREADING
from netslim.dependency.rules.weights import WEIGHTS
from netslim.dependency.trace import Call

_POINTWISE = {
    *("_prelu_kernel", "prelu", "native_dropout", "copy", "hardswish", "hardsigmoid", "mish", "complex", "polar"),
}
_RULES: dict[str, Rule] = {
    **{**MOVEMENT, **WEIGHTS, **PICKING, **SPREADING, **REDUCTIONS, **LAYERS},
    **dict.fromkeys(_POINTWISE, elementwise),
    "glu": gated,
}


def rule_of(call: Call) -> Rule:
    """The rule for an operation."""
    if call.name in _RULES:
        return _RULES[call.name]
    if call.name.startswith(POOLED):
        return pooled
    if torch.Tag.pointwise in call.func.tags:
        return elementwise
    return unknown
