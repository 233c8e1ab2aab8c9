"""Settings of torch hold for the whole process: in a process of their own."""

import subprocess
import sys

import pytest

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


@pytest.mark.parametrize("given", SETTINGS.values(), ids=SETTINGS)
def test_products_are_exact_inside_and_as_the_user_wants_them_after(given: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.replace("GIVEN", given)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
