"""Units as small networks of any width, which an engine can time by themselves."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, fx, nn

from netslim.cost.time_model import Width
from netslim.deploy.fx_graph import annotate, layer_of, name_of
from netslim.deploy.latency.units import Unit, Units, total

FEED = 4  # channels of what the layers around a piece read
_KEPT = ("kernel_size", "stride", "padding", "dilation", "negative_slope", "output_size", "ceil_mode")


@dataclass(frozen=True, eq=False)
class Piece:
    """A unit whose widths can be chosen.

    Attributes:
        kind: what it does at which image size, without widths: units of one kind take equally long at equal widths.
        unit: the unit that it was made from.
        widths: those that its time depends on, at most two: of three and more the sum.
        own: the units' distinct widths.
        node_widths: per value of the unit, read or made, which of `own` it has.
        multiples: per width of `own`, what it is a multiple of: the channels in a group of a grouped convolution.
    """

    kind: str
    unit: Unit
    widths: tuple[Width, ...]
    own: tuple[Width, ...]
    node_widths: Mapping[fx.Node, int]
    multiples: tuple[int, ...]

    def network(self, widths: Sequence[int]) -> fx.GraphModule:
        """The unit alone, with random weights, of these widths."""
        return _Builder(self, _spread(self, widths)).alone()

    def in_context(self, widths: Sequence[int]) -> fx.GraphModule:
        """The unit between narrow layers that keep its values in the engine's own order; its nodes are `unit_...`."""
        return _Builder(self, _spread(self, widths)).between_layers()

    def inputs(self, widths: Sequence[int], batch: int) -> tuple[Tensor, ...]:
        """What `network` reads."""
        own = _spread(self, widths)
        return tuple(_input(self, node, own, batch) for node in self.unit.inputs)


def piece_of(units: Units, unit: Unit) -> Piece:
    """The piece that stands for a unit."""
    own = unit.widths
    places = {node: own.index(units.width[node]) if units.width[node] in own else -1 for node in _values(unit)}
    kind = _kind(unit, places)
    widths = own if len(own) <= 2 else (total(own),)
    return Piece(kind, unit, widths, own, places, tuple(_multiples(unit, places, len(own))))


def _multiples(unit: Unit, places: Mapping[fx.Node, int], count: int) -> list[int]:
    found = [1] * count
    layer = layer_of(unit.nodes[0]) if unit.nodes[0].op == "call_module" else None
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and layer.groups > 1 and not _is_depthwise(layer):
        read, made = places[unit.nodes[0].all_input_nodes[0]], places[unit.nodes[0]]
        found[made] = layer.out_channels // layer.groups
        found[read] = layer.in_channels // layer.groups
    return found


def _values(unit: Unit) -> tuple[fx.Node, ...]:
    return (*unit.inputs, *unit.nodes)


def _spread(piece: Piece, widths: Sequence[int]) -> list[int]:
    """All of the unit's widths: those that were chosen, or shares of their sum; of whole groups of a convolution."""
    if len(piece.own) > 2:
        widths = [max(1, round(width.full * widths[0] / piece.widths[0].full)) for width in piece.own]
    return [max(size, width // size * size) for width, size in zip(widths, piece.multiples, strict=True)]


def _kind(unit: Unit, places: Mapping[fx.Node, int]) -> str:
    read = " ".join(f"{places[node]}:{'x'.join(map(str, node.meta['shape'][2:]))}" for node in unit.inputs)
    numbers = {node: number for number, node in enumerate(_values(unit))}
    done = [f"{_said(node)}({','.join(str(numbers.get(n, '-')) for n in node.all_input_nodes)})" for node in unit.nodes]
    return f"{read} | {' '.join(done)} > {places[unit.nodes[-1]]}"


def _said(node: fx.Node) -> str:
    """An operation with everything that its time depends on but widths."""
    if node.op == "call_module":
        layer = layer_of(node)
        said = [_brief(getattr(layer, name)) for name in _KEPT if hasattr(layer, name)]
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and layer.groups > 1:
            said.append("depthwise" if _is_depthwise(layer) else f"grouped{layer.in_channels // layer.groups}")
        return f"{type(layer).__name__}{''.join(f'/{word}' for word in said)}"
    others = [_brief(arg) for arg in node.args if not isinstance(arg, fx.Node)]
    named = [f"{key}={_brief(arg)}" for key, arg in node.kwargs.items() if not isinstance(arg, fx.Node)]
    return f"{name_of(node)}{''.join(f'/{word}' for word in (*others, *named))}"


def _brief(value: Any) -> str:
    same = isinstance(value, tuple) and len(set(value)) == 1
    return str(value[0]) if same else "x".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _is_depthwise(layer: nn.Module) -> bool:
    return layer.groups == layer.in_channels == layer.out_channels


def _input(piece: Piece, node: fx.Node, own: Sequence[int], batch: int) -> Tensor:
    return torch.randn(batch, own[piece.node_widths[node]], *node.meta["shape"][2:])


class _Builder:
    """Makes a graph of a unit's nodes, with layers of other widths."""

    def __init__(self, piece: Piece, own: Sequence[int]) -> None:
        self._piece, self._own = piece, own
        self._graph = fx.Graph()
        self._root: dict[str, Any] = {}
        self._env: dict[fx.Node, fx.Node] = {}
        self._examples: list[Tensor] = []

    def alone(self) -> fx.GraphModule:
        for number, node in enumerate(self._piece.unit.inputs):
            self._env[node] = self._graph.placeholder(f"x{number}")
            self._examples.append(_input(self._piece, node, self._own, 1))
        return self._finished([self._unit()])

    def between_layers(self) -> fx.GraphModule:
        for number, node in enumerate(self._piece.unit.inputs):
            self._env[node] = self._fed(number, node)
        fed = [value for value in self._env.values() if value.op != "placeholder"]
        made = self._unit()
        images = len(self._piece.unit.nodes[-1].meta["shape"]) == 4
        out = self._pooled(made, "context_out") if images else made
        return self._finished([out, *(self._pooled(value, f"{value.name}_read") for value in fed)])

    def _fed(self, number: int, node: fx.Node) -> fx.Node:
        """The output of a layer of a few inputs, which is read by something else, too: nothing is fused into it."""
        shape = node.meta["shape"]
        start = self._graph.placeholder(f"x{number}")
        width = self._own[self._piece.node_widths[node]]
        if len(shape) < 4 or width <= FEED:
            self._examples.append(torch.randn(1, width, *shape[2:]))
            return start
        self._examples.append(torch.randn(1, FEED, *shape[2:]))
        name = f"context_{number}"
        self._root[name] = nn.Conv2d(FEED, width, 1)
        return self._named(self._graph.call_module(name, (start,)), name)

    def _pooled(self, value: fx.Node, name: str) -> fx.Node:
        return self._named(self._graph.call_function(nn.functional.adaptive_avg_pool2d, (value, (1, 1))), name)

    def _unit(self) -> fx.Node:
        for number, node in enumerate(self._piece.unit.nodes):
            for holder in node.all_input_nodes:
                if holder.op == "get_attr":
                    self._env[holder] = self._tensor(holder, node)
            copied = self._graph.node_copy(node, lambda source: self._env[source])
            if node.op == "call_module":
                copied.target = f"unit_{number}"
                self._root[copied.target] = self._layer(node)
            self._env[node] = self._named(copied, f"unit_{number}")
        return self._env[self._piece.unit.nodes[-1]]

    def _named(self, node: fx.Node, name: str) -> fx.Node:
        node._rename(name)
        return node

    def _tensor(self, holder: fx.Node, node: fx.Node) -> fx.Node:
        """A tensor of the graph, cut along the side that is as wide as the value it is used for."""
        network = cast(fx.GraphModule, holder.graph.owning_module)
        value = cast(Tensor, getattr(network, str(holder.target))).detach()
        full, width = node.meta["shape"][1], self._own[self._piece.node_widths[node]]
        for dim, size in enumerate(value.shape):
            if size == full and size > 1:
                value = value.narrow(dim, 0, min(width, size)).clone()
                break
        name = f"tensor_{len(self._root)}"
        self._root[name] = value
        return self._graph.get_attr(name)

    def _layer(self, node: fx.Node) -> nn.Module:
        layer = layer_of(node)
        places = self._piece.node_widths
        read = self._own[places[node.all_input_nodes[0]]] if node.all_input_nodes[0] in places else 0
        return resized(layer, read, self._own[places[node]] if places[node] >= 0 else read)

    def _finished(self, outputs: list[fx.Node]) -> fx.GraphModule:
        self._graph.output(outputs[0] if len(outputs) == 1 else tuple(outputs))
        network = fx.GraphModule(self._root, self._graph).eval().requires_grad_(False)
        _annotate(network, self._examples)
        return network


def _annotate(network: fx.GraphModule, examples: Sequence[Tensor]) -> None:
    if len(examples) == 1:
        annotate(network, examples[0])
        return
    from torch.fx.passes.shape_prop import ShapeProp

    with torch.no_grad():
        ShapeProp(network).propagate(*examples)
    for node in network.graph.nodes:
        found = node.meta.get("tensor_meta")
        node.meta["shape"] = tuple(found.shape) if hasattr(found, "shape") else None


def resized(layer: nn.Module, read: int, made: int) -> nn.Module:
    """A layer of the same kind, of other widths and with random weights.

    A depthwise convolution stays one; of another grouped one the channels per group stay the same.
    """
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        groups = layer.groups
        if groups > 1:
            groups = made if _is_depthwise(layer) else max(1, read // (layer.in_channels // layer.groups))
            read, made = (made, made) if _is_depthwise(layer) else (read // groups * groups, made // groups * groups)
        options = {name: getattr(layer, name) for name in ("kernel_size", "stride", "padding", "dilation")}
        return type(layer)(read, made, groups=groups, bias=layer.bias is not None, **options)
    if isinstance(layer, nn.Linear):
        return nn.Linear(read, made, bias=layer.bias is not None)
    if isinstance(layer, nn.BatchNorm2d):
        return nn.BatchNorm2d(made, layer.eps, affine=layer.affine)
    return copy.deepcopy(layer)
