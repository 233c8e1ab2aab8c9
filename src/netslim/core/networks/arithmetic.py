"""How torch multiplies numbers of single precision."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def full_float32() -> Iterator[None]:
    """Products of float32 are computed in float32 inside, where two networks' outputs are held against each other.

    On a GPU convolutions are computed in TF32 by default, and other products where the user says so: with three digits.
    """
    own: Any = torch.backends  # torch says the types of none of these
    parts = (own.cudnn.conv, own.cudnn.rnn, own.cuda.matmul, own.mkldnn.conv, own.mkldnn.rnn, own.mkldnn.matmul)
    before = [part.fp32_precision for part in parts]
    older = _older_settings()
    try:
        if older:
            own.cudnn.allow_tf32 = False
            torch.set_float32_matmul_precision("highest")
        for part in parts:
            part.fp32_precision = "ieee"
        yield
    finally:
        if older:
            own.cudnn.allow_tf32, precision = older
            torch.set_float32_matmul_precision(precision)
        for part, precision in zip(parts, before, strict=True):
            part.fp32_precision = precision


def _older_settings() -> tuple[bool, str] | None:
    """What torch's older names for the same say; None where they refuse to, since the new ones were used."""
    try:
        return torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
    except RuntimeError:
        return None
