"""Channel labels: which channels go together, which must stay and why, and what a tensor carries of them.

Every channel gets a number. Channels that turn out to belong together are united (union-find), those that can't go are
frozen with the reason.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from netslim.core.tie import Tie


class ChannelSets:
    """Disjoint sets of channel labels (integers), named by their smallest member."""

    def __init__(self) -> None:
        self._parents = torch.arange(4096)
        self._count = 0
        self._reasons: dict[int, str] = {}

    @property
    def count(self) -> int:
        """Number of labels given out."""
        return self._count

    def fresh(self, count: int, reason: str | None = None) -> Tensor:
        """`count` new labels, frozen if there is a reason."""
        first, self._count = self._count, self._count + count
        if self._count > len(self._parents):
            self._parents = torch.cat([self._parents, torch.arange(len(self._parents), 2 * self._count)])
        labels = torch.arange(first, self._count)
        if reason is not None:
            self.freeze(labels, reason)
        return labels

    def roots(self, labels: Tensor) -> Tensor:
        """The name of each label's set."""
        parents = self._parents.take(labels)  # indexing, in a third of the time
        while True:
            above = self._parents.take(parents)
            if torch.equal(above, parents):
                return parents
            parents = above

    def unite(self, first: Tensor, second: Tensor) -> None:
        """Unites the sets of two tensors' labels, element by element (with broadcasting)."""
        while True:
            ours, theirs = self.roots(first), self.roots(second)
            if torch.equal(ours, theirs):
                return
            apart = ours != theirs
            if not anywhere(apart):
                return
            high, low = torch.maximum(ours, theirs)[apart], torch.minimum(ours, theirs)[apart]
            self._parents.scatter_reduce_(0, high, low, "amin")  # the rest of a set's new partners: the next round

    def choose(self, first: Tensor, second: Tensor) -> None:
        """Unites them by choice: what is computed does not ask for it, but pieces of one size stay such by it."""
        self.unite(first, second)

    def freeze(self, labels: Tensor, reason: str) -> None:
        """Marks sets as channels that stay; the first reason given is kept."""
        for root in set(self.roots(labels).flatten().tolist()):
            self._reasons.setdefault(root, reason)

    def is_final(self, labels: Tensor) -> bool:  # noqa: ARG002
        """Whether it is settled that these stay."""
        return False

    def stay(self, labels: Tensor) -> bool:
        """Whether these stay, as far as is known."""
        return self.frozen().keys() >= {*self.roots(labels).tolist()}

    def frozen(self) -> dict[int, str]:
        """The reason for each set that must stay, by the set's name."""
        found: dict[int, str] = {}
        roots = self.roots(torch.tensor([*self._reasons], dtype=torch.int64)).tolist()
        for root, reason in zip(roots, self._reasons.values(), strict=True):
            found.setdefault(root, reason)
        return found


def everywhere(mask: Tensor) -> bool:
    """`bool(mask.all())` in a quarter of the time: masks of channels are short, and on the CPU."""
    return bool(mask.numpy().all())


def anywhere(mask: Tensor) -> bool:
    """`bool(mask.any())`, likewise."""
    return bool(mask.numpy().any())


@dataclass(frozen=True)
class TensorChannels:
    """What a tensor carries of the channels.

    A tensor from which channels can go has them along one dimension: all else would leave no box behind.

    Attributes:
        axis: the dimension of the channels, along which labels differ; None where all elements have the same and it is
            not known.
        labels: along that dimension (one label if there is none).
        silent: likewise; whether the elements are zero once the channel's producers give zero.
    """

    axis: int | None
    labels: Tensor
    silent: Tensor

    def along(self, dim: int, size: int) -> "TensorChannels | None":
        """The same with `dim`, of `size` elements, as its axis; None if labels differ along another."""
        if self.axis == dim:
            return self
        return TensorChannels(dim, self.labels.expand(size), self.silent.expand(size)) if self.uniform else None

    @property
    def uniform(self) -> bool:
        """Whether all elements have the same label."""
        return self.labels.numel() == 1

    def spread(self, shape: Sequence[int]) -> Tensor:
        """One code (label and silence) for each element of a tensor of this shape, without taking memory for it."""
        codes = self.labels * 2 + self.silent
        if self.axis is None:
            return codes.expand(torch.Size(shape)) if len(shape) else codes[0]
        return codes.view([-1 if dim == self.axis else 1 for dim in range(len(shape))]).expand(torch.Size(shape))


def condense(codes: Tensor, sets: ChannelSets) -> TensorChannels:
    """What a tensor of codes carries.

    Where labels differ along several dimensions (channels seen as groups x channels of a group), only the one with the
    most labels can shrink: along the others the labels are united.
    """
    for dim, (size, stride) in enumerate(zip(codes.shape, codes.stride(), strict=True)):
        if size > 1 and stride == 0:
            codes = codes.narrow(dim, 0, 1)
    names, silent = sets.roots(codes >> 1), (codes & 1).bool()
    for dim in _varying(names):
        if everywhere(names.narrow(dim, 0, 1) == names):
            names = names.narrow(dim, 0, 1)
    varying = _varying(names)
    axis = max(varying, key=lambda dim: (_distinct(names, dim), dim)) if varying else None
    for dim in varying:
        if dim != axis:
            sets.unite(names, names.narrow(dim, 0, 1))
            names = names.narrow(dim, 0, 1)
    for dim in _varying(silent):
        if dim != axis:
            silent = silent.all(dim, keepdim=True)
    names, silent = names.flatten(), silent.flatten()
    if axis is None and silent.numel() > 1:
        silent = silent.all(0, keepdim=True)
    return TensorChannels(axis, names, silent.expand(len(names)))


def _varying(values: Tensor) -> list[int]:
    return [dim for dim, size in enumerate(values.shape) if size > 1]


def _distinct(names: Tensor, dim: int) -> int:
    line = names.movedim(dim, 0).reshape(names.shape[dim], -1)[:, 0]
    return len(set(line.tolist()))


def tied(sets: ChannelSets, ties: Mapping[str, Tie], name: str, dim: int, labels: Tensor) -> Tensor:
    """New labels along a dimension of a weight, united as they were when the network was whole."""
    tie = ties.get(name)
    if tie is not None and tie.dim == dim and len(labels) % (tie.pieces * tie.unit) == 0:
        rows = labels.view(tie.pieces, -1, tie.unit)
        sets.unite(rows, rows[:1, :, :1])
    return labels
