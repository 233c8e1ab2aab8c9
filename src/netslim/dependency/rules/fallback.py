"""The rule for what is not known: it stays as it is."""

from __future__ import annotations

from netslim.dependency.channel_state import ChannelState
from netslim.dependency.trace import Call, Results


def unknown(state: ChannelState, call: Call, reason: str | None = None) -> Results:
    """Freezes all channels that go in; what comes out can't be cut either."""
    reason = reason or f"passes {call}, which is not known to keep channels apart"
    found = [state.channels(tensor) for tensor in call.tensors]
    for carried in found:
        if carried is not None:
            state.sets.freeze(carried.labels, reason)
    if not any(found):  # computed from weights alone: a constant
        return [None for _ in call.out]
    return [state.frozen(f"comes from {call}") for _ in call.out]
