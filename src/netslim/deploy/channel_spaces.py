"""Channel spaces: which layers of a graph share one numbering of channels, so that it can be changed as a whole."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor, fx, nn

from netslim.deploy.fx_graph import dims_of, index_of, is_norm, layer_of, name_of, sources

ABSENT = -1

_EACH_CHANNEL = {
    *("ReLU", "ReLU6", "SiLU", "Hardswish", "Hardsigmoid", "Hardtanh", "Sigmoid", "Tanh", "LeakyReLU", "ELU", "GELU"),
    *("relu", "relu6", "silu", "hardswish", "hardsigmoid", "hardtanh", "sigmoid", "tanh", "leaky_relu", "elu", "gelu"),
    *("MaxPool2d", "AvgPool2d", "AdaptiveAvgPool2d", "AdaptiveMaxPool2d", "contiguous"),
    *("max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d"),
    *("ZeroPad2d", "ConstantPad2d", "ReflectionPad2d", "ReplicationPad2d", "CircularPad2d", "pad"),
    *("add", "iadd", "sub", "mul", "imul"),
}


@dataclass
class Space:
    """Values with the same channels.

    Attributes:
        width: number of channels.
        members: all nodes whose value it is.
        writers: layers and selections whose outputs the channels are.
        followers: BatchNorm layers and depthwise convolutions that keep the numbering.
        readers: layers and selections that read the channels.
        fixed: whether the numbering can't be changed (the network's input and output, concatenations, ...).
    """

    width: int
    members: list[fx.Node] = field(default_factory=list)
    writers: list[fx.Node] = field(default_factory=list)
    followers: list[fx.Node] = field(default_factory=list)
    readers: list[fx.Node] = field(default_factory=list)
    fixed: bool = False

    def rearrange(self, order: Tensor) -> None:
        """Gives every layer of the space new channels: the old ones `order`, `ABSENT` for channels that nothing reads.

        Args:
            order: shape (new width,), old channel numbers or `ABSENT`.
        """
        for node in self.writers:
            _write(node, order)
        for node in self.followers:
            _follow(node, order)
        for node in self.readers:
            _read(node, order)
        self.width = len(order)


def spaces(network: fx.GraphModule) -> list[Space]:
    """The channel spaces of a graph whose nodes have shapes, in network order."""
    return _Finder(network).found()


class _Finder:
    """Union-find over nodes."""

    def __init__(self, network: fx.GraphModule) -> None:
        self._nodes = [node for node in network.graph.nodes if node.op != "get_attr"]
        self._parent: dict[fx.Node, fx.Node] = {node: node for node in self._nodes}
        self._fixed: set[fx.Node] = set()
        self._roles: dict[str, list[tuple[fx.Node, fx.Node]]] = defaultdict(list)  # role -> (node, value it is of)
        for node in self._nodes:
            self._visit(node)

    def found(self) -> list[Space]:
        groups: dict[fx.Node, Space] = {}
        for node in self._nodes:
            shape = node.meta.get("shape")
            space = groups.setdefault(self._root(node), Space(width=shape[1] if shape and len(shape) > 1 else 0))
            space.members.append(node)
        for role, entries in self._roles.items():
            for node, value in entries:
                getattr(groups[self._root(value)], role).append(node)
        for node in self._fixed:
            groups[self._root(node)].fixed = True
        return [space for space in groups.values() if space.width]

    def _visit(self, node: fx.Node) -> None:
        layer = layer_of(node) if node.op == "call_module" else None
        inputs = sources(node)
        if not inputs:  # of parameters alone
            self._fixed.add(node)
        elif _is_plain(node, layer) or index_of(node) is not None:
            self._roles["writers"].append((node, node))
            self._roles["readers"].append((node, inputs[0]))
        elif is_norm(layer) or _is_depthwise(layer):
            self._roles["followers"].append((node, node))
            self._unite(node, inputs[0])
        elif name_of(node) in _EACH_CHANNEL and _same_channels(node, inputs):
            for other in inputs:
                self._unite(node, other)
        elif name_of(node) in ("flatten", "mean") and _global(node, inputs[0]):
            self._unite(node, inputs[0])
        else:
            self._fixed.update([node, *inputs])

    def _root(self, node: fx.Node) -> fx.Node:
        while (above := self._parent[node]) is not node:
            node = above
        return node

    def _unite(self, node: fx.Node, other: fx.Node) -> None:
        self._parent[self._root(node)] = self._root(other)


def _is_plain(node: fx.Node, layer: nn.Module | None) -> bool:
    if isinstance(layer, nn.Linear):
        return len(node.meta["shape"]) == 2
    return isinstance(layer, nn.Conv2d) and layer.groups == 1 and layer.padding_mode == "zeros"


def _is_depthwise(layer: nn.Module | None) -> bool:
    return isinstance(layer, nn.Conv2d) and layer.groups == layer.in_channels == layer.out_channels


def _same_channels(node: fx.Node, inputs: list[fx.Node]) -> bool:
    shapes = [other.meta["shape"] for other in [node, *inputs]]
    held = [other for other in node.all_input_nodes if other.op == "get_attr"]
    first = shapes[0]
    if name_of(node) == "pad" and not _pads_sides(node, len(first or ())):
        return False
    return not held and all(
        shape and len(shape) > 1 and len(shape) == len(first) and shape[1] == first[1] for shape in shapes
    )


def _pads_sides(node: fx.Node, rank: int) -> bool:
    """Whether a call of `pad` adds to what comes after batch and channels, and to nothing else."""
    widths = node.kwargs.get("pad", node.args[1] if len(node.args) > 1 else None)
    return isinstance(widths, list | tuple) and len(widths) <= 2 * (rank - 2)


def _global(node: fx.Node, source: fx.Node) -> bool:
    """Whether one value per channel comes out, in the same order."""
    before, after = source.meta["shape"], node.meta["shape"]
    if name_of(node) == "mean" and not (before and (dims_of(node, len(before)) or {1}).isdisjoint({0, 1})):
        return False
    return bool(before and after) and tuple(after[:2]) == tuple(before[:2]) and len(after) in (2, 4)


def _taken(values: Tensor, order: Tensor, dim: int, fill: float = 0.0) -> Tensor:
    taken = values.index_select(dim, order.clamp(min=0).to(values.device)).clone()
    absent = (order == ABSENT).nonzero().flatten().to(values.device)
    return taken.index_fill_(dim, absent, fill)


def _parameter(values: Tensor) -> nn.Parameter:
    return nn.Parameter(values, requires_grad=False)


def _write(node: fx.Node, order: Tensor) -> None:
    index = index_of(node)
    if index is not None:
        holder = str(cast(fx.Node, node.args[2]).target)
        setattr(node.graph.owning_module, holder, index[order.clamp(min=0)])  # any channel: nothing reads it
        return
    layer = cast(nn.Conv2d | nn.Linear, layer_of(node))
    layer.weight = _parameter(_taken(layer.weight, order, 0))
    if layer.bias is not None:
        layer.bias = _parameter(_taken(layer.bias, order, 0))
    if isinstance(layer, nn.Conv2d):
        layer.out_channels = len(order)
    else:
        layer.out_features = len(order)


def _follow(node: fx.Node, order: Tensor) -> None:
    layer = cast(nn.Conv2d | nn.BatchNorm2d, layer_of(node))
    if layer.weight is not None:
        layer.weight = _parameter(_taken(layer.weight, order, 0))
    if layer.bias is not None:
        layer.bias = _parameter(_taken(layer.bias, order, 0))
    if isinstance(layer, nn.Conv2d):
        layer.in_channels = layer.out_channels = layer.groups = len(order)
        return
    layer.num_features = len(order)
    layer.running_mean = _taken(cast(Tensor, layer.running_mean), order, 0)
    layer.running_var = _taken(cast(Tensor, layer.running_var), order, 0, fill=1.0)


def _read(node: fx.Node, order: Tensor) -> None:
    index = index_of(node)
    if index is not None:
        place = torch.full((int(order.max()) + 1,), ABSENT)
        place[order[order != ABSENT]] = (order != ABSENT).nonzero().flatten()
        setattr(node.graph.owning_module, str(cast(fx.Node, node.args[2]).target), place[index])
        return
    layer = cast(nn.Conv2d | nn.Linear, layer_of(node))
    layer.weight = _parameter(_taken(layer.weight, order, 1))
    if isinstance(layer, nn.Conv2d):
        layer.in_channels = len(order)
    else:
        layer.in_features = len(order)
