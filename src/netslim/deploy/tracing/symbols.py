"""Symbols in the place of a network's inputs, and what becomes of its layers where they meet them."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, fx, nn

from netslim.core.networks.example import Inputs


class Symbol(fx.Proxy):
    """A symbol that knows `x += y` from `x = x + y`, which are one to torch.fx's own."""

    def _changed(self, operation: Callable[..., Any], other: object) -> fx.Proxy:
        return self.tracer.create_proxy("call_function", operation, (self, other), {})

    def __iadd__(self, other: object) -> fx.Proxy:
        return self._changed(operator.iadd, other)

    def __isub__(self, other: object) -> fx.Proxy:
        return self._changed(operator.isub, other)

    def __imul__(self, other: object) -> fx.Proxy:
        return self._changed(operator.imul, other)

    def __itruediv__(self, other: object) -> fx.Proxy:
        return self._changed(operator.itruediv, other)


class Tracer(fx.Tracer):
    """Layers of torch.nn stay whole, and so does every layer that passes on some of its channels.

    Args:
        inputs: what the network is called with. Arguments that it does not get are what they are by default.
    """

    def __init__(self, inputs: Inputs) -> None:
        super().__init__()
        self._inputs = inputs

    def create_args_for_root(
        self, root_fn: Callable[..., Any], is_module: bool, concrete_args: Any = None
    ) -> tuple[Callable[..., Any], list[Any]]:
        """The network's code, and a symbol for each of the tensors that it gets."""
        del is_module, concrete_args
        names = positional_names(root_fn, len(self._inputs.args))
        given = [self._placeholder(name) for name in (*names, *self._inputs.kwargs)]

        def called(root: nn.Module, *symbols: fx.Proxy) -> Any:
            named = dict(zip(self._inputs.kwargs, symbols[len(names) :], strict=True))
            return root_fn(root, *symbols[: len(names)], **named)

        return called, [self.root, *given]

    def proxy(self, node: fx.Node) -> fx.Proxy:
        """The symbol for a node's value."""
        return Symbol(node, self)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether `m` becomes one node; not with code of its own around it."""
        if m._forward_hooks or m._forward_pre_hooks or "forward" in vars(m):
            return False
        return chosen(m) is not None or super().is_leaf_module(m, module_qualified_name)

    def _placeholder(self, name: str) -> fx.Proxy:
        return self.create_proxy("placeholder", name, (), {})


class _SizedSymbol(Symbol):
    """A symbol whose sizes are numbers, but for the first one, which is the batch."""

    @property
    def shape(self) -> Any:
        """What `x.shape` is in the network's code."""
        value = cast(SizedTracer, self.tracer).values.get(self.node)
        first: Any = fx.proxy.Attribute(self, "shape")
        return (first[0], *value.shape[1:]) if isinstance(value, Tensor) and value.dim() else first

    def size(self, dim: int | None = None) -> Any:
        """What `x.size()` is."""
        return self.shape if dim is None else self.shape[dim]

    def dim(self) -> Any:
        """How many sizes there are."""
        return len(self.shape)

    @property
    def ndim(self) -> Any:
        """The same."""
        return len(self.shape)


class SizedTracer(Tracer):
    """For code that computes with the sizes of images: all but the batch's are as in the example.

    Every node is computed as soon as it is made, so that the sizes of its value are known to the code after it.
    """

    def __init__(self, inputs: Inputs) -> None:
        super().__init__(inputs)
        self.values: dict[fx.Node, Any] = {}
        self._given = iter(inputs.tensors)
        self._is_computing = False

    def proxy(self, node: fx.Node) -> fx.Proxy:
        """The symbol for a node's value."""
        return _SizedSymbol(node, self)

    def create_proxy(self, kind: str, target: Any, args: Any, kwargs: Any, *more: Any, **named: Any) -> fx.Proxy:
        """A symbol, and its value at the example."""
        found = super().create_proxy(kind, target, args, kwargs, *more, **named)
        self._is_computing = True  # the layers' own code is not to be traced then
        try:
            with torch.no_grad():
                self.values[found.node] = self._value(found.node)
        finally:
            self._is_computing = False
        return found

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """A node for a layer; where its value is computed, that alone."""
        return forward(*args, **kwargs) if self._is_computing else super().call_module(m, forward, args, kwargs)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        """A node for a parameter, likewise."""
        return attr_val if self._is_computing else super().getattr(attr, attr_val, parameter_proxy_cache)

    def _value(self, node: fx.Node) -> Any:
        if node.op == "placeholder":
            return next(self._given).clone()  # it may be written into
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), self.values.__getitem__)
        target = cast(Any, node.target)
        if node.op == "get_attr":
            return operator.attrgetter(target)(self.root)
        if node.op == "call_module":
            return self.root.get_submodule(target).forward(*args, **kwargs)
        return getattr(args[0], target)(*args[1:], **kwargs) if node.op == "call_method" else target(*args, **kwargs)


def positional_names(forward: Callable[..., Any], count: int) -> list[str]:
    """What the first arguments of a network's code are called, without `self`."""
    known = [*inspect.signature(forward).parameters.values()][1:]
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [each.name for each in known if each.kind in kinds]
    rest = next((each.name for each in known if each.kind is inspect.Parameter.VAR_POSITIONAL), "input")
    return [*names, *(f"{rest}_{number}" for number in range(count))][:count]


def chosen(module: nn.Module) -> Tensor | None:
    """The index of a selection layer: one with buffers `indexes` (the original's) and `index`."""
    index = getattr(module, "index", None)
    return index if isinstance(index, Tensor) and hasattr(module, "indexes") else None
