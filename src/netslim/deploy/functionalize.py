"""In-place operations of a traced graph made plain: then a node's value never changes after it was computed.

A graph says who reads which value, not when. `y = relu_(x)` also changes what is read as `x` later (the shortcut of
timm's older Xceptions), and rewriting a graph would move that moment. So every later read of `x` becomes a read of `y`,
as in torch's own functionalization; `passes.write_in_place` makes some in place again where nothing else can see it.
"""

from __future__ import annotations

import inspect
import operator
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor, fx
from torch.nn import functional
from torch.utils import _pytree as pytree

from netslim.core.errors import NetslimError, first_line

_NOT_ITS_OWN = (Path(torch.__file__).parent, Path(__file__).parent)
Given: TypeAlias = Tensor | tuple[Tensor, ...]  # an input, or all of them in the order of the graph
_SHOWN = 80  # characters of a line of code in a message


class UntraceableError(NetslimError):
    """The network's Python code decides on values or changes parts of tensors, so that it has no plain fixed graph."""


def why_untraceable(error: Exception) -> str:
    """Which line of the network's own code went wrong at a symbol, and what was said there."""
    lines = [line for line in traceback.extract_tb(error.__traceback__) if line.line]
    own = [line for line in lines if not any(Path(line.filename).is_relative_to(room) for room in _NOT_ITS_OWN)]
    said = first_line(error).partition(". ")[0]  # torch.fx goes on with advice for people who write tracers
    if not own:
        return said
    code, place = str(own[-1].line), f"{Path(own[-1].filename).name}:{own[-1].lineno}"
    shown = code if len(code) <= _SHOWN else f"{code[:_SHOWN]}..."
    return f"{place}, {shown!r}, takes no symbol in the place of numbers: {said}"


def given(example: Given) -> tuple[Tensor, ...]:
    """What a graph is called with."""
    return (example,) if isinstance(example, Tensor) else example


def functionalize(network: fx.GraphModule, example: Given) -> int:
    """Makes every operation of a graph that changes its input a plain one. Returns how many.

    Args:
        network: its own layers stop being in place.
        example: an input (N, C, H, W), or all inputs; left unchanged.

    Raises:
        UntraceableError: part of a tensor is changed and the whole is read later, or the reverse.
    """
    run = _Recorder(network)
    with torch.inference_mode(False), torch.no_grad():
        run.run(*(tensor.clone() for tensor in given(example)))
    order = {node: place for place, node in enumerate(network.graph.nodes)}
    for node, changed in run.changes.items():
        _read_later(node, changed, run.values, order)
        _plain(network, node)
    return len(run.changes)


class _Recorder(fx.Interpreter):
    """Keeps all values (so that no memory is used twice), and by node the tensors that it changed."""

    def __init__(self, network: fx.GraphModule) -> None:
        super().__init__(network, garbage_collect_values=False)
        self.values: dict[fx.Node, object] = {}
        self.changes: dict[fx.Node, list[Tensor]] = {}

    def run_node(self, n: fx.Node) -> object:
        read = [tensor for source in n.all_input_nodes for tensor in _tensors(self.env[source])]
        before = [tensor._version for tensor in read]
        self.values[n] = super().run_node(n)
        changed = [tensor for tensor, version in zip(read, before, strict=True) if tensor._version != version]
        if changed:
            self.changes[n] = changed
        return self.values[n]


def _read_later(
    node: fx.Node, changed: Sequence[Tensor], values: dict[fx.Node, object], order: dict[fx.Node, int]
) -> None:
    """Lets what reads a changed tensor after `node` read `node`."""
    places = {_place(tensor) for tensor in changed}
    memory = {tensor.untyped_storage().data_ptr() for tensor in changed}
    for other in [other for other in order if order[other] < order[node]]:
        later = [user for user in other.users if order[user] > order[node]]
        shared = [tensor for tensor in _tensors(values[other]) if tensor.untyped_storage().data_ptr() in memory]
        if not later or not shared:
            continue
        result = values[node]
        same = isinstance(values[other], Tensor) and isinstance(result, Tensor) and places == {_place(result)}
        if not same or _place(shared[0]) not in places:
            raise UntraceableError(f"'{node.name}' changes part of what '{later[0].name}' reads, in place")
        other.replace_all_uses_with(node, delete_user_cb=later.__contains__)


def _plain(network: fx.GraphModule, node: fx.Node) -> None:
    """Makes a node compute a new tensor."""
    if node.op == "call_module":
        layer: Any = network.get_submodule(str(node.target))
        known, layer.inplace = hasattr(layer, "inplace"), False
    elif node.op == "call_method":
        node.target, known = str(node.target).rstrip("_"), callable(getattr(Tensor, str(node.target)[:-1], None))
    else:
        known = _plain_function(node)
    if not known:
        raise UntraceableError(f"'{node.name}' changes a tensor in place")


def _plain_function(node: fx.Node) -> bool:
    function = cast(Any, node.target)
    name = getattr(function, "__name__", "")
    plain = getattr(operator, name[1:], None) if getattr(operator, name, None) is function else None
    if name.endswith("_"):
        plain = getattr(torch, name[:-1], None) or getattr(functional, name[:-1], None)
    if plain is not None:
        node.target = plain
        return True
    named = list(inspect.signature(function).parameters) if inspect.isfunction(function) else []
    if "inplace" in named[: len(node.args)]:
        node.update_arg(named.index("inplace"), False)
    elif "inplace" in node.kwargs:
        node.update_kwarg("inplace", False)
    else:
        return False
    return True


def _tensors(value: object) -> Iterator[Tensor]:
    return (leaf for leaf in pytree.tree_leaves(value) if isinstance(leaf, Tensor))


def _place(tensor: Tensor) -> tuple[object, ...]:
    return tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), tensor.dtype
