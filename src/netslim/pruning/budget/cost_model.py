"""What a network costs as a function of how many channels each group has: nothing is cut and nothing runs."""

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from netslim.core.protocols import Cost
from netslim.cost import MacCount
from netslim.dependency.groups import BoundGroup
from netslim.dependency.trace import Place


class CostModel:
    """Parameters and MACs of a network that loses channels.

    A tensor has as many numbers as the product of its sides; a group takes entries off some sides. Parameters are the
    sum of these products, and MACs the same sum with each weight counted once for every place it is applied at, fixed
    filters in buffers too.

    Args:
        model: the network as it is now.
        groups: its channel groups.
        uses: what it multiplies in one call.
        batch: the inputs of that call.
    """

    def __init__(
        self,
        model: nn.Module,
        groups: Sequence[BoundGroup],
        uses: MacCount,
        batch: int = 1,
    ) -> None:
        learnt: dict[str, Tensor] = dict(model.named_parameters())
        filters = {name: own for name, own in model.named_buffers() if uses.parameters.get(name)}
        tensors = learnt | filters
        self._learnt = _numbers([float(name in learnt) for name in tensors])
        self._uses = _numbers(
            [uses.parameters.get(name, 0) / batch / max(own.numel(), 1) for name, own in tensors.items()]
        )
        self._rest = (uses.total - sum(uses.parameters.get(name, 0) for name in tensors)) / batch
        sides: dict[Place, int] = {}
        taken: list[tuple[int, int, int]] = []
        for number, group in enumerate(groups):
            for part in group.slices:
                if part.tensor in tensors:
                    side = sides.setdefault((part.tensor, part.dim), len(sides))
                    taken.append((side, number, part.positions.shape[1]))
        self._full = _numbers([tensors[name].shape[dim] for name, dim in sides])
        self._taken = torch.zeros(len(sides), len(groups), dtype=torch.float64)
        for side, number, entries in taken:
            self._taken[side, number] += entries
        self._fixed, self._sides = _products(tensors, sides)
        self._selections = _selections(groups, [*tensors])
        self._beside = _numbers([uses.beside.get(own.group.name, 0) / batch for own in groups])

    @property
    def now(self) -> Cost:
        """The cost of the network as it is."""
        return self.at(torch.zeros(self._taken.shape[1]))

    def at(self, removed: Tensor) -> Cost:
        """The cost with `removed` channels of each group gone, shape (groups,)."""
        sides = torch.cat([self._full - self._taken @ removed.double(), torch.ones(1, dtype=torch.float64)])
        numbers = self._fixed * sides[self._sides].prod(1)
        for group, channels, vectors in self._selections:
            if removed[group] == channels:
                numbers[vectors] = 0
        macs = numbers @ self._uses + self._rest - self._beside @ removed.double()
        return Cost(params=round(float(numbers @ self._learnt)), macs=round(float(macs)))

    def per_channel(self, kind: str) -> list[float]:
        """Per group, the parameters ("params") or MACs of one input ("macs") that go with the first of its channels."""
        everything = getattr(self.now, kind)
        singles = torch.eye(self._taken.shape[1])
        return [float(everything - getattr(self.at(single), kind)) for single in singles]


def _selections(groups: Sequence[BoundGroup], names: Sequence[str]) -> list[tuple[int, int, list[int]]]:
    """Groups with which more goes than they cut: their number, channels, and these parameters.

    A selection's BatchNorm, which is as wide as the stream until its branch goes; and all else in a block.
    """
    of_module: dict[str, list[int]] = defaultdict(list)
    for index, name in enumerate(names):
        of_module[name.rpartition(".")[0]].append(index)
    found = []
    for number, own in enumerate(groups):
        group = own.group
        if group.slices and group.branch is not None:
            inside = [index for index, name in enumerate(names) if name.startswith(f"{group.branch}.")]
            found.append((number, len(own.channels), inside))
        elif group.selection is not None and group.branch is not None:
            vectors = [index for module in group.scales for index in of_module[module]]
            found.append((number, len(own.channels), vectors))
    return found


def _products(tensors: dict[str, Tensor], places: dict[Place, int]) -> tuple[Tensor, Tensor]:
    """Per tensor: the product of the sides that stay, and the places of the others (the last place is a one)."""
    fixed, sides = [], []
    for name, tensor in tensors.items():
        product, cut = 1, []
        for dim, size in enumerate(tensor.shape):
            if (name, dim) in places:
                cut.append(places[name, dim])
            else:
                product *= size
        fixed.append(product)
        sides.append(cut)
    most = max((len(cut) for cut in sides), default=0)
    filled = [cut + [len(places)] * (most - len(cut)) for cut in sides]
    return _numbers(fixed), torch.tensor(filled, dtype=torch.long).view(len(fixed), most)


def _numbers(values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)
