"""The torch graph that is made: nodes, layers, and tensors that the file has.

What depends on no input is computed at once, so that one rule does for constants and for activations. Shapes are worked
out on the meta device: nothing is computed of an image, and no size is believed before it is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from operator import getitem
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils import _pytree as pytree

from netslim.core.errors import CheckpointError
from netslim.models.onnx_import.source import Placed
from netslim.models.onnx_import.values import Activation, Constant, Number, Numbers, Sequence, Table, Value

LARGEST = 2**29  # numbers of a tensor that a file may have computed


class Builder:
    """A torch graph in the making.

    Attributes:
        graph, root: its nodes, and what holds its layers.
        placed: where the file's tensors went.
    """

    def __init__(self) -> None:
        self.graph = fx.Graph()
        self.root = nn.Module()
        self.placed: list[Placed] = []
        self.at = 0  # the ONNX node that is being followed
        self._holders: dict[int, fx.Node] = {}
        self._kept: list[Tensor] = []  # so that no other tensor gets the id of one that is held
        self._layers: dict[object, str] = {}

    def input(self, name: str, like: Tensor) -> Activation:
        """An input of the network."""
        node = self.graph.placeholder(identifier(name))
        node.meta["dtype"] = like.dtype
        return Activation(node, like.to("meta"))

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """What a function gives, of values and Python numbers: a value, or a tuple of them.

        Raises CheckpointError for a tensor that is too large.
        """
        given = (args, kwargs)
        hollow = _mapped(given, _hollow)
        with torch.device("meta"):
            like = function(*hollow[0], **hollow[1])
        _check_size(like, function)
        if not any(_is_symbol(leaf) for leaf in _leaves(given)):
            real = _mapped(given, lambda leaf: leaf.tensor if isinstance(leaf, Constant) else leaf.value)
            return _wrapped(function(*real[0], **real[1]))
        named = _mapped(given, self._node)
        node = self.graph.call_function(function, named[0], named[1])
        return self._parts(node, like)

    def layer(self, make: Callable[[], nn.Module], name: str, given: Iterable[Any], key: object = None) -> Any:
        """What a layer gives; the same layer again where `key` is one that was met before."""
        path = self._layers.get(key) if key is not None else None
        if path is None:
            path = free_path(self.root, name)
            _add(self.root, path, make())
            if key is not None:
                self._layers[key] = path
        layer = self.root.get_submodule(path)
        hollow = {own: tensor.to("meta") for own, tensor in layer.state_dict().items()}
        values = tuple(given)
        like = torch.func.functional_call(layer.eval(), hollow, _mapped(values, _hollow))
        _check_size(like, type(layer))
        return self._parts(self.graph.call_module(path, _mapped(values, self._node)), like)

    def _parts(self, node: fx.Node, like: Any) -> Any:
        """A result as values: one, or several of any nesting."""
        if isinstance(like, Tensor):
            return Activation(node, like)
        return tuple(
            self._parts(self.graph.call_function(getitem, (node, place)), part) for place, part in enumerate(like)
        )

    def like(self, value: Value) -> Tensor:
        """A tensor of a value's shape and type."""
        found: Tensor = _hollow(self.tensor(value))
        return found

    def place(self, value: Value | None, path: str | list[str], back: Callable[..., Tensor] | None = None) -> None:
        """Notes where a tensor of the file is now, and how it is turned back into the file's form."""
        if isinstance(value, Constant) and value.name:
            paths = (path,) if isinstance(path, str) else tuple(path)
            computed = value.tensor if value.is_computed else None
            self.placed.append(Placed(self.at, value.name, paths, back, computed))

    def path_of(self, value: Activation) -> str:
        """The layer that gives a value, or one of several."""
        node = value.node
        while node.op != "call_module" and isinstance(node.args[0], fx.Node):
            node = node.args[0]
        return str(node.target)

    def number(self, function: Callable[..., Any], *args: Number | float) -> Number:
        """A number that is computed of others."""
        value = function(*(arg.value if isinstance(arg, Number) else arg for arg in args))
        nodes = [arg.node if isinstance(arg, Number) and arg.node is not None else None for arg in args]
        if not any(node is not None for node in nodes):
            return Number(value)
        plain = [arg.value if isinstance(arg, Number) else arg for arg in args]
        given = tuple(node if node is not None else number for node, number in zip(nodes, plain, strict=True))
        return Number(value, self.graph.call_function(function, given))

    def size(self, source: Activation, dim: int) -> Number:
        """A side of an activation, which follows other inputs."""
        return Number(source.like.shape[dim], self.graph.call_method("size", (source.node, dim)))

    def numbers(self, value: Value | None) -> Numbers | None:
        """What is known of sizes: a small constant or numbers that were computed; None for anything else."""
        if isinstance(value, Numbers):
            return value
        if not isinstance(value, Constant) or value.tensor.dim() > 1:
            return None
        flat = value.tensor.reshape(-1).tolist()
        return Numbers(tuple(Number(number) for number in flat), scalar=value.tensor.dim() == 0)

    def tensor(self, value: Value) -> Constant | Activation:
        """Numbers as a tensor; tensors as they are. Raises CheckpointError for a sequence of them."""
        if isinstance(value, Sequence):
            raise CheckpointError("it takes a tensor, and is given a sequence")
        if isinstance(value, Table):
            flat = self.tensor(Numbers(value.items))
            return self.call(torch.reshape, flat, value.shape)  # type: ignore[no-any-return]
        if not isinstance(value, Numbers):
            return value
        kind = torch.float32 if any(isinstance(item.value, float) for item in value.items) else torch.int64
        items = value.items[0] if value.scalar else [*value.items]
        return self.call(torch.tensor, items, dtype=kind)  # type: ignore[no-any-return]

    def _node(self, value: object) -> Any:
        if isinstance(value, Number):
            return value.value if value.node is None else value.node
        if isinstance(value, Constant):
            return self.holder(value)
        return value.node if isinstance(value, Activation) else value

    def holder(self, value: Constant) -> fx.Node:
        """The node of a tensor that is kept in the network: a parameter where the file has it, else a buffer."""
        held = self._holders.get(id(value.tensor))
        if held is None:
            path = free_path(self.root, identifier(value.name) if value.name else "constant")
            learnt = bool(value.name) and value.tensor.is_floating_point()
            _add(self.root, path, nn.Parameter(value.tensor.clone()) if learnt else value.tensor.clone())
            held = self._holders[id(value.tensor)] = self.graph.get_attr(path)
            self._kept.append(value.tensor)
        self.place(value, str(held.target))
        return held


def identifier(name: str) -> str:
    """A name of the file as one that Python code can have."""
    found = re.sub(r"\W", "_", name, flags=re.ASCII)
    return found if re.match(r"[A-Za-z_]", found) else f"_{found}"


def layer_name(weight: str, fallback: str) -> str:
    """The name of a layer by that of its weight: `layer1.0.conv1.weight` -> `layer1.0.conv1`."""
    stem = re.sub(r"[._/](weight|kernel|W|w_0|scale|gamma)$", "", weight) if weight else fallback
    parts = [re.sub(r"\W", "_", part, flags=re.ASCII) for part in stem.split(".")]
    return ".".join(part for part in parts if part) or "layer"


def free_path(root: nn.Module, wanted: str) -> str:
    """The wanted path, or one like it that nothing has."""
    number, path = 1, wanted
    while not _is_free(root, path):
        path, number = f"{wanted}_{number}", number + 1
    return path


def _is_free(root: nn.Module, path: str) -> bool:
    """Whether nothing is there, and only plain holders on the way."""
    module = root
    *holders, last = path.split(".")
    for part in holders:
        inner = getattr(module, part, None)
        if inner is None:
            return True
        if type(inner) is not nn.Module:
            return False
        module = inner
    return not hasattr(module, last)


def _add(root: nn.Module, path: str, what: nn.Module | Tensor) -> None:
    *holders, last = path.split(".")
    for part in holders:
        if not hasattr(root, part):
            root.add_module(part, nn.Module())
        root = root.get_submodule(part)
    if isinstance(what, nn.Module):
        root.add_module(last, what)
    elif isinstance(what, nn.Parameter):
        root.register_parameter(last, what)
    else:
        root.register_buffer(last, what)


def _mapped(given: Any, change: Callable[[Any], Any]) -> Any:
    """Arguments with their values changed; slices are looked into."""

    def leaf(value: Any) -> Any:
        if isinstance(value, slice):
            return slice(*(leaf(part) for part in (value.start, value.stop, value.step)))
        return change(value) if isinstance(value, Constant | Activation | Number) else value

    return pytree.tree_map(leaf, given)


def _leaves(given: Any) -> list[Any]:
    found: list[Any] = []
    _mapped(given, found.append)
    return found


def _is_symbol(leaf: Any) -> bool:
    return isinstance(leaf, Activation) or (isinstance(leaf, Number) and leaf.node is not None)


def _hollow(value: Any) -> Any:
    if isinstance(value, Constant):
        return value.tensor.to("meta")
    return value.like if isinstance(value, Activation) else value.value


def _wrapped(result: Any) -> Any:
    return tuple(Constant(part) for part in result) if isinstance(result, tuple) else Constant(result)


def _check_size(like: Any, function: object) -> None:
    for tensor in pytree.tree_leaves(like):
        if isinstance(tensor, Tensor) and tensor.numel() > LARGEST:
            name = getattr(function, "__name__", str(function))
            raise CheckpointError(f"{name} would make a tensor of {'x'.join(map(str, tensor.shape))} numbers")
