"""Settings of torch hold for the whole process: in a process of their own."""

import math
import subprocess
import sys
from contextlib import suppress

import pytest
import torch

from netslim.core.networks.arithmetic import double_throughout, is_rounding

SETTINGS = {
    "defaults": "",
    "older": "torch.backends.cudnn.allow_tf32 = True; torch.set_float32_matmul_precision('medium')",
    "newer": "own.cudnn.conv.fp32_precision = 'ieee'; own.cuda.matmul.fp32_precision = 'tf32'",
    "mixed": "torch.set_float32_matmul_precision('high'); own.cudnn.fp32_precision = 'ieee'",
}
PROGRAM = """
import torch
from netslim.core.networks.arithmetic import full_float32

own = torch.backends

def told(read):
    try:
        return read()
    except RuntimeError:
        return "refused"

def settings():
    older = lambda: own.cudnn.allow_tf32, torch.get_float32_matmul_precision, lambda: own.cuda.matmul.allow_tf32
    newer = own.cudnn.conv, own.cudnn.rnn, own.cuda.matmul, own.mkldnn.conv, own.mkldnn.rnn, own.mkldnn.matmul
    return [*map(told, older), *(part.fp32_precision for part in newer)]

GIVEN
before = settings()
try:
    with full_float32():
        inside = settings()
        raise KeyError
except KeyError:
    pass
assert inside[3:] == ["ieee"] * 6, inside
assert not inside[0] or before[0] == "refused", (before, inside)
assert settings() == before, (before, settings())
"""


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(text, id=name, marks=[pytest.mark.slow] * (name in ("older", "newer")))
        for name, text in SETTINGS.items()
    ],
)
def test_products_are_exact_inside_and_as_the_user_wants_them_after(given: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.replace("GIVEN", given)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("first", "second", "alike"),
    [
        ([1000.0, 0.0], [1000.9, 0.9], True),
        ([1000.0, 0.0], [1000.0, 1.1], False),
        ([1.0, math.nan, math.inf], [1.0, math.nan, math.inf], True),
        ([1.0, math.nan], [1.0, 2.0], False),
        ([1000, 0], [1000, 0], True),
        ([1000, 0], [1000, 1], False),
        ([True, False], [True, True], False),
        ([], [], True),
        ([1.0], [1.0, 1.0], False),
        ([1.0], [1], False),
    ],
)
def test_rounding_is_a_share_of_the_largest_number_and_none_of_whole_ones(
    first: list[float], second: list[float], alike: bool
) -> None:
    assert is_rounding(torch.tensor(first), torch.tensor(second)) is alike


@pytest.mark.parametrize("inference", [False, True])
def test_all_is_double_inside_and_as_before_after(inference: bool) -> None:
    x, whole = torch.ones(2, dtype=torch.float64), torch.tensor([1])
    with torch.inference_mode(inference), suppress(KeyError), double_throughout():
        made = (
            *(x.float(), x.to(torch.float32), x.type(torch.FloatTensor), x.half().float(), whole.float()),
            *(
                torch.zeros(2, dtype=torch.float32),
                torch.rand(2),
                torch.tensor(0.5),
                whole / 2,
                x.sum(dtype=torch.float),
            ),
        )
        assert {tensor.dtype for tensor in made} == {torch.float64}
        assert x.half().dtype == torch.float16
        raise KeyError
    assert torch.rand(2).dtype == x.float().dtype == torch.float32
