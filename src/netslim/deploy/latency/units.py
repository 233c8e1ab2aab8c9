"""A network for inference, taken apart into what an engine runs as one piece."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from torch import fx, nn

from netslim.core.protocols import Slice
from netslim.cost.time_model import Width
from netslim.deploy.fx_graph import layer_of, name_of, sources

_FREE = {
    *("placeholder", "output", "get_attr", "flatten", "view", "reshape", "contiguous", "getitem", "chunk", "split"),
    *("transpose", "permute", "size", "getattr", "Identity", "Dropout", "Flatten", "unsqueeze", "squeeze", "expand"),
}
_FUSED = {
    *("ReLU", "relu", "ReLU6", "relu6", "Hardswish", "hardswish", "SiLU", "silu", "Sigmoid", "sigmoid", "clamp"),
    *("Hardsigmoid", "hardsigmoid", "GELU", "gelu", "LeakyReLU", "leaky_relu", "add", "iadd", "mul", "imul"),
}
_SUMS = ("add", "iadd")
_CONV = nn.Conv2d | nn.ConvTranspose2d


@dataclass(frozen=True, eq=False)
class Unit:
    """A layer and the elementwise operations that follow it.

    Attributes:
        nodes: of the graph, in order; the first is the layer.
        inputs: the values that it reads.
        widths: those of its inputs and its output that differ, in order.
    """

    nodes: tuple[fx.Node, ...]
    inputs: tuple[fx.Node, ...]
    widths: tuple[Width, ...]


class Units:
    """The units of a network, and their widths as functions of what groups lose.

    Args:
        network: from `for_inference`; its nodes have shapes.
        groups: per group what it cuts of the trained network.
    """

    def __init__(self, network: fx.GraphModule, groups: Sequence[Sequence[Slice]]) -> None:
        self._sides = _sides(groups)
        self._nodes = [*network.graph.nodes]
        self.width: dict[fx.Node, Width] = {}
        for node in self._nodes:
            self.width[node] = self._width(node)
        self.units = [self._unit(nodes) for nodes in _chains(self._nodes)]

    def without(self, emptied: Collection[int], counts: Sequence[int]) -> set[int]:
        """The numbers of the units that nothing is left of once some groups are empty, given all groups' channels."""
        removed = [count if group in emptied else 0 for group, count in enumerate(counts)]
        dead: set[fx.Node] = set()
        for node in self._nodes:
            read = [source in dead for source in sources(node)]
            silent = all(read) if name_of(node) in (*_SUMS, "cat", "concat") else any(read)
            if (read and silent) or (self.width[node].full > 0 and self.width[node].at(removed) <= 0):
                dead.add(node)
        for node in reversed(self._nodes):
            if node.op != "output" and node.users and all(user in dead for user in node.users):
                dead.add(node)
        return {number for number, unit in enumerate(self.units) if unit.nodes[0] in dead}

    def _unit(self, nodes: tuple[fx.Node, ...]) -> Unit:
        inputs = tuple(dict.fromkeys(source for node in nodes for source in sources(node) if source not in nodes))
        widths = tuple(dict.fromkeys(self.width[node] for node in (*inputs, nodes[-1])))
        return Unit(nodes, inputs, widths)

    def _width(self, node: fx.Node) -> Width:
        shape = node.meta.get("shape")
        if shape is None or len(shape) < 2:
            return Width(0)
        layer = layer_of(node) if node.op == "call_module" else None
        if isinstance(layer, nn.Linear | _CONV):
            dim = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
            return Width(shape[1], self._sides.get((_base(str(node.target), self._sides, dim), dim), ()))
        return _derived(shape[1], name_of(node), [self.width[source] for source in sources(node)])


def _derived(full: int, name: str, read: Sequence[Width]) -> Width:
    """The width of what has no weights that say it."""
    if name in ("cat", "concat") and sum(width.full for width in read) == full:
        return _total(read)
    for width in read:
        if width.full == full:
            return width
    for width in read:
        if width.full and full % width.full == 0:  # flattened
            return Width(full, tuple((group, entries * (full // width.full)) for group, entries in width.taken))
        if full and width.full % full == 0:  # split
            parts = width.full // full
            return Width(full, tuple((group, max(entries // parts, 1)) for group, entries in width.taken))
    return Width(full)


def _total(read: Sequence[Width]) -> Width:
    taken: dict[int, int] = {}
    for width in read:
        for group, entries in width.taken:
            taken[group] = taken.get(group, 0) + entries
    return Width(sum(width.full for width in read), tuple(sorted(taken.items())))


def total(widths: Sequence[Width]) -> Width:
    """All of them together."""
    return _total(widths)


def _sides(groups: Sequence[Sequence[Slice]]) -> dict[tuple[str, int], tuple[tuple[int, int], ...]]:
    """By layer, as graphs name it, and dimension: what each group takes of its weight."""
    found: dict[tuple[str, int], dict[int, int]] = {}
    for group, slices in enumerate(groups):
        for part in slices:
            layer, _, tensor = part.tensor.rpartition(".")
            if tensor == "weight":
                own = found.setdefault((_flat(layer), part.dim), {})
                own[group] = own.get(group, 0) + part.positions.shape[1]
    return {place: tuple(sorted(own.items())) for place, own in found.items()}


def _flat(name: str) -> str:
    flat = name.replace(".", "_")
    return f"layer_{flat}" if flat[:1].isdigit() else flat


def _base(target: str, sides: Mapping[tuple[str, int], object], dim: int) -> str:
    """The layer's name; one that is called in several places has a number after it there."""
    base, _, number = target.rpartition("_")
    return base if (target, dim) not in sides and number.isdigit() else target


def _chains(nodes: Sequence[fx.Node]) -> list[tuple[fx.Node, ...]]:
    """Each layer with the elementwise operations after it that nothing else reads in between."""
    taken: set[fx.Node] = set()
    found = []
    for node in nodes:
        if node in taken or name_of(node) in _FREE or node.meta.get("shape") is None:
            continue
        chain = [node]
        while (after := _only_user(chain[-1])) is not None and name_of(after) in _FUSED and after not in taken:
            chain.append(after)
            taken.add(after)
        found.append(tuple(chain))
    return found


def _only_user(node: fx.Node) -> fx.Node | None:
    return next(iter(node.users)) if len(node.users) == 1 else None
