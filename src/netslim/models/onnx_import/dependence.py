"""Which open sides of a file's inputs a number that is computed of sizes depends on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

import torch
from torch import fx

from netslim.models.onnx_import.builder import Builder
from netslim.models.onnx_import.source import Port

Side: TypeAlias = tuple[str, int]  # name of an input, and the dimension
_OTHERS: tuple[Callable[[int], int], ...] = (
    *(lambda side: 1, lambda side: max(1, side // 2), lambda side: side + 1, lambda side: 2 * side),  # noqa: ARG005
    *(lambda side: 3 * side, lambda side: 16 * side, lambda side: 1024 * side),  # strides hide small changes
)


def sides_behind(build: Builder, asked: fx.Node, ports: Sequence[Port]) -> frozenset[Side]:
    """The open sides with which the sizes behind a number change, or at whose other values nothing can be computed.

    Each side is brought to other values while the others stay, and the graph so far is followed on the meta device.
    Sides of one name change together.

    Args:
        build: with the graph so far.
        asked: what computes the number.
        ports: the inputs, at the example's sizes.
    """
    run = _Sizes(build, asked)
    usual = run.at([port.shape for port in ports])
    found: set[Side] = set()
    for group in _groups(ports):
        others = [run.at(shapes) for shapes in _changed(ports, group)]
        if any(sizes is not None and sizes != usual for sizes in others) or all(sizes is None for sizes in others):
            found.update(group)
    return frozenset(found)


def _groups(ports: Sequence[Port]) -> Iterator[tuple[Side, ...]]:
    """Open sides that are of one size."""
    named: dict[str, list[Side]] = {}
    for port in ports:
        for dim, is_free in enumerate(port.free):
            if is_free:
                named.setdefault(port.named(dim) or f"{port.name}[{dim}]", []).append((port.name, dim))
    yield from map(tuple, named.values())


def _changed(ports: Sequence[Port], group: Sequence[Side]) -> Iterator[list[tuple[int, ...]]]:
    for change in _OTHERS:
        yield [
            tuple(change(side) if (port.name, dim) in group else side for dim, side in enumerate(port.shape))
            for port in ports
        ]


class _Sizes:
    """The sizes that a number is computed of, at any shapes of the inputs."""

    def __init__(self, build: Builder, asked: fx.Node) -> None:
        graph, copies = fx.Graph(), dict[fx.Node, fx.Node]()
        graph.graph_copy(build.graph, copies)
        graph.output(tuple(copies[node] for node in sizes_behind(asked)))
        whole = fx.GraphModule(build.root, graph)
        whole.graph.eliminate_dead_code()
        self._run = _OnMeta(whole)
        self._kinds = [node.meta["dtype"] for node in build.graph.nodes if node.op == "placeholder"]

    def at(self, shapes: Sequence[Sequence[int]]) -> tuple[int, ...] | None:
        """None where the graph can't be followed at these shapes."""
        given = [torch.empty(shape, dtype=kind, device="meta") for shape, kind in zip(shapes, self._kinds, strict=True)]
        with suppress(Exception), torch.no_grad(), torch.device("meta"):  # whatever torch says of sizes that don't fit
            return tuple(self._run.run(*given))
        return None


def sizes_behind(asked: fx.Node) -> list[fx.Node]:
    """The calls of `size` that a number is computed of, in order."""
    found, waiting = dict[fx.Node, None](), [asked]
    while waiting:
        node = waiting.pop()
        if node.op == "call_method" and node.target == "size":
            found[node] = None
        else:
            waiting.extend(node.all_input_nodes)
    return [*found]


class _OnMeta(fx.Interpreter):
    """Follows shapes without numbers."""

    def get_attr(self, target: Any, args: Any, kwargs: Any) -> Any:
        return super().get_attr(target, args, kwargs).to("meta")

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:
        layer = self.fetch_attr(target)
        hollow = {name: tensor.to("meta") for name, tensor in layer.state_dict().items()}
        return torch.func.functional_call(layer.eval(), hollow, args, kwargs)
