"""Least squares from sums: rows come and go, and what is kept is as large as the layer's matrix squared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

RIDGES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # as shares of the mean square of the inputs
_OF_GAIN, _OF_REST = 0.05, 0.5  # what smaller weights may cost: shares of what the best gains, and of what it leaves


class Sums:
    """Of rows X (groups, rows, inputs) and R (groups, rows, outputs): X'X, X'R and the squares of R, in float64.

    Args:
        like: a tensor (groups, inputs, outputs) on the device of the rows.
    """

    def __init__(self, like: Tensor) -> None:
        groups, inputs, outputs = like.shape
        self.gram = like.new_zeros((groups, inputs, inputs), dtype=torch.float64)
        self.cross = like.new_zeros((groups, inputs, outputs), dtype=torch.float64)
        self.squares = like.new_zeros(groups, dtype=torch.float64)
        self.count = 0  # of numbers in R

    def add(self, inputs: Tensor, residuals: Tensor) -> None:
        """Takes more rows."""
        self.gram += inputs.transpose(1, 2) @ inputs
        self.cross += inputs.transpose(1, 2) @ residuals
        self.squares += residuals.square().sum((1, 2))
        self.count += residuals.numel()

    def plus(self, other: Sums) -> Sums:
        """Of both."""
        found = Sums(self.cross)
        found.gram, found.cross = self.gram + other.gram, self.cross + other.cross
        found.squares, found.count = self.squares + other.squares, self.count + other.count
        return found

    def error(self, change: Tensor) -> Tensor:
        """The sum of squares of R - X change, per group."""
        return self.squares - (change * (2 * self.cross - self.gram @ change)).sum((1, 2))


@dataclass(frozen=True, eq=False)
class Fit:
    """A change of a layer's matrix.

    Attributes:
        change: (groups, inputs, outputs), zero where nothing was better than none.
        before, after: sum of squares on the rows that were held out.
    """

    change: Tensor
    before: float
    after: float


def fitted(fit: Sums, held_out: Sums, free: int, ridges: Sequence[float] = RIDGES) -> Fit:
    """The change that makes R small: ridge regression, its strength chosen on rows that were held out.

    It is the largest of those that gain nearly as much as the best: large weights that cancel each other gain the rest,
    and a training after that tears them apart.

    Args:
        fit, held_out: sums over different images.
        free: number of the last inputs that are not held back by the ridge (the constant).
        ridges: strengths to choose among, each larger than the one before.
    """
    before = held_out.squares
    errors = torch.stack([held_out.error(_solution(fit, ridge, free)) for ridge in ridges])
    best = errors.amin(0)
    enough = (errors < before) & (errors <= best + torch.minimum(_OF_GAIN * (before - best), _OF_REST * best.abs()))
    both, change, after = fit.plus(held_out), torch.zeros_like(fit.cross), before
    for ridge, error, taken in zip(ridges, errors, enough, strict=True):
        if bool(taken.any()):
            change = torch.where(taken[:, None, None], _solution(both, ridge, free), change)
            after = torch.where(taken, error, after)
    return Fit(change, float(before.sum()), float(after.sum()))


def _solution(sums: Sums, ridge: float, free: int) -> Tensor:
    """(X'X + ridge)^-1 X'R per group; zero where that has no numbers."""
    own = sums.gram.shape[-1] - free
    diagonal = sums.gram.diagonal(dim1=1, dim2=2)
    strength = torch.zeros_like(diagonal)
    strength[:, :own] = ridge * diagonal[:, :own].mean(1, keepdim=True)
    strength += 1e-10 * diagonal + torch.finfo(torch.float64).tiny
    factor, failed = torch.linalg.cholesky_ex(sums.gram + torch.diag_embed(strength))
    solved = torch.cholesky_solve(sums.cross, factor)
    return torch.where((failed == 0)[:, None, None] & solved.isfinite(), solved, 0.0)
