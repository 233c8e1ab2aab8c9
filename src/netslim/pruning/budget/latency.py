"""A budget of time: candidates are built and run, in turns with the unpruned network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from netslim.core.errors import UsageError, setting
from netslim.core.networks.example import Inputs
from netslim.core.networks.modes import evaluation_mode
from netslim.core.protocols import Budget, PrunePlan, plan_of
from netslim.cost import measure_latency
from netslim.models import build
from netslim.pruning.apply import rebuild
from netslim.pruning.budget.request import Request, in_ms
from netslim.pruning.budget.search import Search, State

TOLERANCE = 0.03  # what is faster than the target by less than this is near enough: timings scatter as much
_ROUNDS = 8
_SECONDS = 0.5


@dataclass(frozen=True)
class Probe:
    """A network that was run.

    Attributes:
        state: what is gone of it.
        plan: its plan.
        seconds: median time for a batch.
        dense: that of the unpruned network, measured in turns with it.
    """

    state: State
    plan: PrunePlan
    seconds: float
    dense: float


class Stopwatch:
    """Measures pruned candidates of a network against the unpruned one.

    Args:
        model: the network as it is now.
        inputs: the batch that is timed.

    Attributes:
        pruned_before: whether that is another network than the unpruned one.
    """

    def __init__(self, model: nn.Module, inputs: Inputs) -> None:
        self._model = model
        self._inputs = inputs
        self.pruned_before = plan_of(model) is not None
        self._dense = unpruned(model)

    def time(self, state: State, plan: PrunePlan) -> Probe:
        """Runs what `plan` makes of the network."""
        networks = {"dense": self._dense, "pruned": rebuild(self._model, plan)}
        with evaluation_mode(networks["dense"]), evaluation_mode(networks["pruned"]), torch.inference_mode():
            times = measure_latency(
                {name: partial(self._inputs.call, network) for name, network in networks.items()}, seconds=_SECONDS
            )
        return Probe(state, plan, times["pruned"].median, times["dense"].median)


def unpruned(model: nn.Module) -> nn.Module:
    """The network before it was pruned: itself, or one of the same architecture. Raises UsageError without any."""
    done = plan_of(model)
    if done is None:
        return model
    if done.arch is None:
        raise UsageError(
            f"{type(model).__name__} was pruned before, and netslim can't build the unpruned one to compare "
            f"latencies with; type `target_macs`"
        )
    return build(done.arch).to(next(model.parameters()).device)


def within(
    request: Request, search: Search, draft: Callable[[State], PrunePlan], stopwatch: Stopwatch, batch: int
) -> PrunePlan:
    """The plan of the largest network found whose measured latency is at most the target.

    The number of steps is searched for, by interpolating latency in MACs.

    Raises:
        UsageError: the network is as fast already, or none is so fast: the fastest is named.
    """

    def probe(count: int) -> Probe:
        state = search.after(count)
        return stopwatch.time(state, draft(state))

    fast = probe(search.length)
    slow = probe(0) if stopwatch.pruned_before else replace(fast, state=search.after(0), seconds=fast.dense)
    if slow.seconds <= request.target(slow.dense):
        raise UsageError(f"{request}: the network takes {_shown(slow)} already; ask for less than that")
    if fast.seconds > request.target(fast.dense):
        raise UsageError(
            f"{request}: the fastest that can be reached takes {_shown(fast)} on this machine at batch {batch}; "
            f"type {setting('target_latency', in_ms(fast.seconds * (1 + TOLERANCE)))}"
        )
    for _ in range(_ROUNDS):
        share = (request.target(fast.dense) - fast.seconds) / max(slow.seconds - fast.seconds, 1e-9)
        wanted = fast.state.cost + min(max(share, 0.1), 0.9) * (slow.state.cost - fast.state.cost)
        count = search.fewest(wanted)
        if fast.seconds >= request.target(fast.dense) * (1 - TOLERANCE) or search.after(count).cost <= fast.state.cost:
            break
        tried = probe(count)
        slow, fast = (slow, tried) if tried.seconds <= request.target(tried.dense) else (tried, fast)
    target = request.target(fast.dense)
    budget = Budget(
        kind=request.kind, asked=request.asked, target=target, reached=fast.seconds, dense=fast.dense, batch=batch
    )
    return replace(fast.plan, budget=budget)


def batch_of(inputs: Inputs, count: int) -> Inputs:
    """Zeros like the inputs, `count` of them where the first side is the batch, or of a list of images."""
    if inputs.is_listed:
        first, *others = inputs.args
        return type(inputs)(([torch.zeros_like(first[i % len(first)]) for i in range(count)], *others), inputs.kwargs)

    def zeros(tensor: Tensor) -> Tensor:
        batched = tensor.dim() and len(tensor) == inputs.batch
        return tensor.new_zeros((count, *tensor.shape[1:]) if batched else tensor.shape)

    return inputs.map(zeros)


def _shown(probe: Probe) -> str:
    return f"{in_ms(probe.seconds)} ({probe.seconds / probe.dense:.0%} of the unpruned network's time)"
