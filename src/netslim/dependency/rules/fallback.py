"""The rule for what is not known: it stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from netslim.dependency.channel_sets import Carried
from netslim.dependency.meta_ops import tensors_in
from netslim.dependency.trace import Call, Results

if TYPE_CHECKING:
    from netslim.dependency.tracer import Tracer


def unknown(tracer: Tracer, call: Call, reason: str | None = None) -> Results:
    """Freezes all channels that go in; what comes out can't be cut either."""
    reason = reason or f"passes {call}, which is not known to keep channels apart"
    found = [tracer.carried(tensor) for tensor in tensors_in((call.args, call.kwargs))]
    for carried in found:
        if carried is not None:
            tracer.labels.freeze(carried.labels, reason)
    if not any(found):  # computed from weights alone: a constant
        return [None for _ in call.out]
    return [Carried(None, tracer.labels.fresh(1, f"comes from {call}"), torch.tensor([False])) for _ in call.out]
