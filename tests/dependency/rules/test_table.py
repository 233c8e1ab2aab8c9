"""Which rule an operation gets: its own, that of its family of names, that of elementwise ones, or none."""

from typing import Any

import pytest
import torch

from netslim.dependency.channel_state import Rule
from netslim.dependency.rules.elementwise import elementwise
from netslim.dependency.rules.fallback import unknown
from netslim.dependency.rules.layers import convolution, linear
from netslim.dependency.rules.movement import joined
from netslim.dependency.rules.reductions import pooled, reduced
from netslim.dependency.rules.table import rule_of
from netslim.dependency.trace import Call

ATEN = torch.ops.aten


@pytest.mark.parametrize(
    ("func", "rule"),
    [
        (ATEN.convolution.default, convolution),
        (ATEN.addmm.default, linear),
        (ATEN.cat.default, joined),
        (ATEN.mean.dim, reduced),
        (ATEN.max_pool2d_with_indices.default, pooled),
        (ATEN._adaptive_avg_pool2d.default, pooled),
        (ATEN.relu.default, elementwise),
        (ATEN._prelu_kernel.default, elementwise),
        (ATEN.linalg_inv_ex.default, unknown),
        (ATEN.histc.default, unknown),
    ],
    ids=lambda value: value.__name__,
)
def test_an_operation_has_the_rule_of_its_kind(func: Any, rule: Rule) -> None:
    call = Call(func.overloadpacket.__name__, func, (), {}, {}, [], "net.py:1")
    assert rule_of(call) is rule


def test_a_name_of_its_own_goes_before_what_torch_says_of_it() -> None:
    assert torch.Tag.pointwise in ATEN.relu.default.tags
    assert rule_of(Call("cat", ATEN.relu.default, (), {}, {}, [], "net.py:1")) is joined
