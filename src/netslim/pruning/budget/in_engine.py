"""A budget of time in a deployed engine: by its table of times, put right by running a few whole networks."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from torch import Tensor, nn

from netslim.core.errors import UsageError, setting
from netslim.core.networks.example import Inputs
from netslim.core.protocols import Budget, PrunePlan, plan_of
from netslim.dependency.groups import BoundGroup
from netslim.pruning.apply import rebuild
from netslim.pruning.budget.allocation import Allocation, Kept
from netslim.pruning.budget.latency import unpruned
from netslim.pruning.budget.ranking import Ranking
from netslim.pruning.budget.request import Request, in_ms
from netslim.pruning.budget.solve import Limits, Outcome
from netslim.pruning.budget.timing import Call, TimingEngine

TOLERANCE = 0.03  # of the target
NOISE = 0.06  # by which two measurements of one pair of networks may differ
_PROBES = 5


@dataclass(frozen=True)
class Measured:
    """A network that was run in turns with the unpruned one.

    Attributes:
        kept: its widths.
        plan: its plan.
        predicted, seconds, dense: what was expected, what it takes, and what the unpruned one takes beside it.
        apart: by how much two measurements differ, as a share.
    """

    kept: Kept
    plan: PrunePlan
    predicted: float
    seconds: float
    dense: float
    apart: float

    def misses(self, request: Request) -> float:
        """By how much it is slower (or, below zero, faster) than the target, as a share of that."""
        return self.seconds / request.target(self.dense) - 1


class Shares:
    """What whole networks take of the unpruned one's time, by the sum of their parts: linear between measured ones.

    Args:
        found: sums of parts, in seconds, with shares; at least two.
    """

    def __init__(self, found: Sequence[tuple[float, float]]) -> None:
        self._found = sorted(found)

    def add(self, total: float, share: float) -> None:
        """One more that was measured."""
        self._found = sorted([*self._found, (total, share)])

    def at(self, total: float) -> float:
        """The share that a sum of parts comes to."""
        above = min(max(bisect.bisect_left([own for own, _ in self._found], total), 1), len(self._found) - 1)
        (low, first), (high, last) = self._found[above - 1], self._found[above]
        return last if high == low else first + (last - first) * (total - low) / (high - low)

    def sum_for(self, share: float) -> float:
        """The sum of parts that comes to a share: between the largest that is fast enough and the next one above it."""
        place = max((number for number, (_, own) in enumerate(self._found) if own <= share), default=0)
        (low, first), (high, last) = self._found[place], self._found[min(place + 1, len(self._found) - 1)]
        return low if last <= first else low + (high - low) * (share - first) / (last - first)


@dataclass(frozen=True)
class Problem:
    """What is known of a network before its plan.

    Attributes:
        request: the budget.
        model: the network as it is.
        inputs: what it takes.
        groups: its groups.
        scores, ranking: per group, a score per channel, and the order in which channels go.
        limits: what may be done with each group.
        draft: the plan that an outcome comes to.
        summed: whether a channel's score is of all its layers together, or else their mean.
        settings: says what settings would let more go.
    """

    request: Request
    model: nn.Module
    inputs: Inputs
    groups: Sequence[BoundGroup]
    scores: Sequence[Tensor]
    ranking: Ranking
    limits: Limits
    draft: Callable[[Outcome], PrunePlan]
    summed: bool = False
    settings: Callable[[], Sequence[str]] = tuple

    def plan(self, kept: Kept, budget: Budget) -> PrunePlan:
        """The plan of some widths."""
        gone = [len(order) - count for order, count in zip(self.ranking.orders, kept.counts, strict=True)]
        return self.draft(Outcome(gone, [], budget))

    def allocation(self, engine: TimingEngine) -> Allocation:
        """Its widths under limits of time."""
        groups = [own.group for own in self.groups]
        counts = [len(own.channels) for own in self.groups]
        cuts = [(own.group, own.slices) for own in self.groups]
        times = engine.times_of(self.model, self.inputs.tensors[0], cuts, counts)
        entries = [own.slices[0].positions.shape[1] for own in self.groups]
        removable = [own for own in self.limits.branches if all(self.limits.floors[group] == 0 for group in own)]
        branches = {str(groups[own[0]].branch): own for own in removable}
        return Allocation(times, self._worths(), self.ranking, self.limits, entries, branches)

    def _worths(self) -> list[Tensor]:
        """What channels are worth beside each other: one of a residual stream is one of every layer that gives it.

        A ranking compares means; where a channel costs the time of many layers, all of these count.
        """
        layers = [1 if self.summed else max(1, len(own.group.scales)) for own in self.groups]
        return [score * count for score, count in zip(self.scores, layers, strict=True)]


class Prober:
    """Runs what plans make of a network.

    Args:
        engine: what runs them.
        problem: the network, and what makes plans of widths.
    """

    def __init__(self, engine: TimingEngine, problem: Problem) -> None:
        self._engine, self._problem = engine, problem
        self._example = problem.inputs.tensors[0]
        self._dense: Call = engine.call(unpruned(problem.model), self._example)

    def measure(self, kept: Kept, expected: float) -> Measured:
        """Runs a network twice in turns with the unpruned one; the slower of two that differ much counts.

        Args:
            kept: its widths.
            expected: what it should take of the unpruned one's time.
        """
        blank = Budget(kind="latency", asked="", target=0, reached=0, dense=0)
        plan = self._problem.plan(kept, blank)
        calls = {"dense": self._dense, "pruned": self._engine.call(rebuild(self._problem.model, plan), self._example)}
        pairs = []
        for _ in range(2):
            times = self._engine.time(calls)
            pairs.append((times["pruned"].lower_quartile, times["dense"].lower_quartile))
        shares = [pruned / dense for pruned, dense in pairs]
        apart = abs(shares[0] - shares[1]) / max(shares)
        dense = min(own for _, own in pairs)
        share = max(shares) if apart > NOISE else sum(shares) / 2
        return Measured(kept, plan, expected * dense, share * dense, dense, apart)


def check_engine(engine: TimingEngine | None, request: Request, per_layer: bool) -> None:
    """Raises UsageError for settings that an engine has no use for."""
    if engine is None:
        return
    if request.kind != "latency":
        raise UsageError(f"an engine is for `target_latency`, and the budget is {request}; leave `engine` out")
    if per_layer:
        raise UsageError(
            "`per_layer=True` takes the same share of every layer, an engine as its time wants: choose one"
        )


def within_engine(engine: TimingEngine, problem: Problem) -> PrunePlan:
    """The plan that keeps the most importance in the time asked for.

    Raises:
        UsageError: the network is as fast already, or none is so fast: the fastest is named.
    """
    if not problem.inputs.is_single or problem.inputs.tensors[0].dim() != 4:
        raise UsageError("an engine is for networks that take one batch of images; leave `engine` out")
    request, allocation = problem.request, problem.allocation(engine)
    if not engine.is_here:
        return _by_table(request, allocation, engine, problem)
    probe = Prober(engine, problem)
    whole, least = allocation.whole, allocation.least
    fast = probe.measure(least, 0.0)
    dense = fast.dense
    now = dense if plan_of(problem.model) is None else probe.measure(whole, 0.0).seconds
    if request.target(dense) >= now:
        raise UsageError(f"{request}: the network takes {in_ms(now)} already; ask for less than that")
    if least.seconds >= whole.seconds or fast.misses(request) > TOLERANCE:
        raise _unreachable(problem, engine, fast.seconds, dense)
    shares = Shares([(least.seconds, fast.seconds / dense), (whole.seconds, now / dense)])
    return _with_budget(request, engine, _probed(request, allocation, probe, shares, fast))


def _probed(request: Request, allocation: Allocation, probe: Prober, shares: Shares, fast: Measured) -> Measured:
    """The network nearest to the target; what every one takes corrects what is expected of the next."""
    tried = [fast]
    for _ in range(_PROBES):
        dense = min(own.dense for own in tried)
        kept = allocation.within(shares.sum_for(request.target(dense) / dense))
        if any(kept.counts == own.kept.counts for own in tried):
            break
        tried.append(probe.measure(kept, shares.at(kept.seconds)))
        if abs(tried[-1].misses(request)) <= TOLERANCE:
            break
        shares.add(kept.seconds, tried[-1].seconds / tried[-1].dense)
    return min(tried, key=lambda own: abs(own.misses(request)))


def _by_table(request: Request, allocation: Allocation, engine: TimingEngine, problem: Problem) -> PrunePlan:
    """The plan by another machine's table alone."""
    if request.relative and plan_of(problem.model) is not None:
        raise UsageError(
            f"{request}: the network was pruned before, and the table alone does not say what it took then; type a "
            f"time (`target_latency='3ms'`)"
        )
    whole, least = allocation.whole, allocation.least
    target = request.target(whole.seconds)
    if target >= whole.seconds:
        raise UsageError(f"{request}: the network takes {in_ms(whole.seconds)} already; ask for less than that")
    if least.seconds > target:
        raise _unreachable(problem, engine, least.seconds, whole.seconds)
    kept = allocation.within(target)
    budget = _budget(request, engine, target, kept.seconds, whole.seconds, kept.seconds)
    return problem.plan(kept, replace(budget, measured=False))


def _with_budget(request: Request, engine: TimingEngine, found: Measured) -> PrunePlan:
    target = request.target(found.dense)
    predicted = found.predicted or found.seconds
    plan = replace(found.plan, budget=_budget(request, engine, target, found.seconds, found.dense, predicted))
    return replace(plan, notes=(*plan.notes, *_notes(request, found)))


def _budget(
    request: Request, engine: TimingEngine, target: float, reached: float, dense: float, predicted: float
) -> Budget:
    return Budget(
        kind=request.kind,
        asked=request.asked,
        target=target,
        reached=reached,
        dense=dense,
        batch=engine.batch_size,
        engine=engine.name,
        threads=engine.threads,
        int8=engine.int8,
        predicted=predicted,
    )


def _notes(request: Request, found: Measured) -> Sequence[str]:
    notes = []
    if found.apart > NOISE:
        notes.append(
            f"two measurements of the same two networks differ by {found.apart:.0%}, which is too much to tell plans "
            f"apart: the slower one counts; plan again on an idle machine"
        )
    if abs(found.misses(request)) > TOLERANCE:
        target = request.target(found.dense)
        notes.append(
            f"{in_ms(target)} can't be met within {TOLERANCE:.0%}: the nearest that was found takes "
            f"{in_ms(found.seconds)} ({found.seconds / found.dense:.1%} of before)"
        )
    return notes


def _unreachable(problem: Problem, engine: TimingEngine, least: float, dense: float) -> UsageError:
    where = f"{engine.name}{' in int8' * engine.int8} at batch {engine.batch_size}"
    more = " and ".join(problem.settings())
    return UsageError(
        f"{problem.request}: the fastest that can be reached takes {in_ms(least)} ({least / dense:.0%} of the unpruned "
        f"network's time) in {where} on {engine.threads} thread{'s' * (engine.threads > 1)}; "
        f"type {setting('target_latency', in_ms(least * (1 + TOLERANCE)))}{', or allow ' * bool(more)}{more}"
    )
