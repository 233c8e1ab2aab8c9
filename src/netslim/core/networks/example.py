"""What a network is run on, and what it gives: tensors in any arrangement of arguments and containers."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from types import FunctionType, MethodType, ModuleType
from typing import Any, Self

import torch
from torch import Tensor, nn

from netslim.core.errors import UsageError
from netslim.core.networks.caches import caches_kept

_FEW = 256  # numbers of a tensor that a plan records


@dataclass(frozen=True, eq=False)
class Inputs:
    """The arguments of one call of a network.

    Attributes:
        args, kwargs: tensors (or `TensorSpec`s in their places), containers of them, and anything else.
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    @classmethod
    def of(cls, example: Any) -> Self:
        """A tuple is a network's positional arguments, a dictionary its keyword arguments, anything else its only one.

        Raises:
            UsageError: there is no tensor in it.
        """
        if isinstance(example, cls):
            return example
        if isinstance(example, Inputs):
            return cls(example.args, example.kwargs)
        found = cls((), example) if isinstance(example, dict) else cls(_positional(example), {})
        if not found.tensors:
            raise UsageError(f"the example holds no tensor, but {type(example).__name__}: give an input of the network")
        return found

    @property
    def tensors(self) -> list[Any]:
        """Its tensors, in order."""
        return [leaf for leaf in self.leaves if isinstance(leaf, Tensor | TensorSpec)]

    @property
    def leaves(self) -> list[Any]:
        """All that is in it, but for containers."""
        return [*_leaves((self.args, self.kwargs))]

    @property
    def batch(self) -> int:
        """The first side of the first tensor; of a list of images (C, H, W), how many these are."""
        if self.is_listed:
            return len(self.args[0])
        shape = self.tensors[0].shape
        return int(shape[0]) if len(shape) else 1

    @property
    def is_listed(self) -> bool:
        """Whether the first argument is a list of images, each of a size of its own, as detectors take it."""
        images = self.args[0] if self.args else None
        if not isinstance(images, list) or not all(isinstance(part, Tensor | TensorSpec) for part in images):
            return False
        return all(len(image.shape) == 3 for image in images)

    @property
    def is_single(self) -> bool:
        """Whether it is one tensor of floats, and nothing else."""
        single = len(self.args) == 1 and not self.kwargs and isinstance(self.args[0], Tensor | TensorSpec)
        return single and self.args[0].dtype.is_floating_point

    def map(self, change: Callable[[Any], Any]) -> Self:
        """The same with each tensor changed."""
        args, kwargs = _mapped((self.args, dict(self.kwargs)), change)
        return type(self)(args, kwargs)

    def call(self, model: nn.Module, *, copied: bool = True) -> Any:
        """What the network gives; of a generator, all that it gives. It gets copies: it may write to what it is given.

        What its code keeps outside of it of tensors without values is forgotten.

        Args:
            model: the network.
            copied: False where the tensors are of this call alone.
        """
        given = self.map(Tensor.clone) if copied else self
        hollow = any(tensor.is_meta for tensor in given.tensors)
        with caches_kept(model) if hollow else nullcontext():
            found = model(*given.args, **given.kwargs)
            return [*found] if isinstance(found, Iterator) else found


@dataclass(frozen=True)
class TensorSpec:
    """What a tensor is like.

    Attributes:
        shape, dtype: of the tensor.
        high: what whole numbers lie below, as indices do.
        values: all its numbers, where they matter and are few, as the corners of boxes.
    """

    shape: torch.Size
    dtype: torch.dtype
    high: int = 2
    values: tuple[float, ...] | None = None

    @classmethod
    def of(cls, tensor: Tensor) -> TensorSpec:
        """What this tensor is like."""
        whole = not (tensor.dtype.is_floating_point or tensor.dtype.is_complex or tensor.dtype == torch.bool)
        known = whole and tensor.numel() and not tensor.is_meta
        return cls(tensor.shape, tensor.dtype, int(tensor.max()) + 1 if known else 2)

    def random(self, generator: torch.Generator) -> Tensor:
        """A tensor like it, on the CPU: its values if known, else normally distributed, or any whole numbers."""
        if self.values is not None:
            return torch.tensor(self.values, dtype=torch.float64).to(self.dtype).view(self.shape)
        if self.dtype.is_floating_point or self.dtype.is_complex:
            return torch.randn(self.shape, generator=generator).to(self.dtype)
        return torch.randint(0, max(self.high, 1), self.shape, generator=generator).to(self.dtype)

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        found = {"shape": [*self.shape], "dtype": str(self.dtype).removeprefix("torch."), "high": self.high}
        return found if self.values is None else {**found, "values": [*self.values]}

    def with_values(self, tensor: Any) -> TensorSpec:
        """The same with the values of a tensor like it, if these are few."""
        few = isinstance(tensor, Tensor) and not tensor.is_meta and tensor.numel() <= _FEW and not tensor.is_complex()
        if not few or tensor.shape != self.shape or not bool(tensor.isfinite().all()):
            return self
        return dataclasses.replace(self, values=tuple(map(float, tensor.flatten().tolist())))


def random_like(inputs: Inputs, *, batch: int | None = None, dtype: torch.dtype | None = None) -> Inputs:
    """Random values like an example's, the same each time; on its devices, or for `TensorSpec`s on the CPU.

    Args:
        inputs: the example.
        batch: so many are in the batch; None: as many as there.
        dtype: of floating-point numbers; None: as there.
    """
    generator = torch.Generator().manual_seed(0)

    def drawn(like: Tensor | TensorSpec) -> Tensor:
        spec = TensorSpec.of(like) if isinstance(like, Tensor) else like
        shape = spec.shape if batch is None else torch.Size([batch, *spec.shape[1:]])
        own = dtype if dtype and spec.dtype.is_floating_point else spec.dtype
        found = dataclasses.replace(spec, shape=shape, dtype=own).random(generator)
        return found.to(like.device) if isinstance(like, Tensor) else found

    return inputs.map(drawn)


def inputs_to_dict(inputs: Inputs) -> dict[str, Any]:
    """What a network is run on as plain data: shapes and types, no values of tensors."""
    return {"args": [_plain(arg) for arg in inputs.args], "kwargs": {k: _plain(v) for k, v in inputs.kwargs.items()}}


def inputs_from_dict(data: Mapping[str, Any]) -> Inputs:
    """`TensorSpec`s in the arrangement of `inputs_to_dict`. Raises ValueError, KeyError or TypeError if it is none."""
    return Inputs(tuple(_rich(arg) for arg in data["args"]), {str(k): _rich(v) for k, v in data["kwargs"].items()})


def _plain(value: Any) -> Any:
    if isinstance(value, Tensor | TensorSpec):
        return {"tensor": (value if isinstance(value, TensorSpec) else TensorSpec.of(value)).to_dict()}
    if isinstance(value, tuple | list):
        return {type(value).__name__ if type(value) in (tuple, list) else "list": [_plain(part) for part in value]}
    if isinstance(value, dict):
        return {"dict": {str(key): _plain(part) for key, part in value.items()}}
    if value is None or isinstance(value, bool | int | float | str):
        return {"value": value}
    raise UsageError(f"the example holds a {type(value).__name__}, which a plan can't record: give tensors and numbers")


def _rich(data: Any) -> Any:
    ((kind, value),) = data.items()
    if kind == "tensor":
        dtype = getattr(torch, value["dtype"])
        if not isinstance(dtype, torch.dtype):
            raise ValueError(f"{value['dtype']} is no type of numbers")
        shape, values = torch.Size(int(side) for side in value["shape"]), value.get("values")
        known = None if values is None else tuple(float(number) for number in values)
        if known is not None and len(known) != shape.numel():
            raise ValueError(f"{len(known)} values do not fill {tuple(shape)}")
        return TensorSpec(shape, dtype, int(value["high"]), known)
    if kind == "dict":
        return {key: _rich(part) for key, part in value.items()}
    if kind in ("tuple", "list"):
        parts = [_rich(part) for part in value]
        return tuple(parts) if kind == "tuple" else parts
    if kind != "value":
        raise ValueError(f"unknown kind of input '{kind}'")
    return value


def _positional(example: Any) -> tuple[Any, ...]:
    return example if isinstance(example, tuple) else (example,)


def _mapped(tree: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(tree, Tensor | TensorSpec):
        return change(tree)
    if isinstance(tree, dict):
        return type(tree)((key, _mapped(part, change)) for key, part in tree.items())
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(_mapped(part, change) for part in tree))
    if isinstance(tree, tuple | list):
        return type(tree)(_mapped(part, change) for part in tree)
    return tree


def _leaves(tree: Any) -> Iterator[Any]:
    if isinstance(tree, Mapping):
        tree = tree.values()
    elif not isinstance(tree, tuple | list):
        yield tree
        return
    for part in tree:
        yield from _leaves(part)


def tensors_of(outputs: Any) -> dict[str, Tensor]:
    """The tensors in what a network gives, by where they are: `logits`, `0`, `list.1.0`.

    They are found in containers of any kind, in the attributes of these, of tensors and of any other object, in what
    functions have bound, and in what has no attributes, but can be walked through.
    """
    found: dict[str, Tensor] = {}
    _collect(outputs, (), found, {})
    return found


def _collect(value: Any, path: Sequence[str], found: dict[str, Tensor], seen: dict[int, Any]) -> None:
    if value is None or isinstance(value, str | bytes | bool | int | float | type | ModuleType | nn.Module):
        return
    if isinstance(value, Tensor):
        found[".".join(path) or "output"] = value
    if id(value) in seen:
        return
    seen[id(value)] = value  # kept, so that its id stays its own
    for name, part in _parts_of(value):
        _collect(part, (*path, name), found, seen)


def _parts_of(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, Tensor):  # torch's own kinds of tensors note things in attributes
        return [*vars(value).items()] if type(value) in (Tensor, nn.Parameter) else []
    if isinstance(value, FunctionType | MethodType | functools.partial):
        return _bound_by(value)
    attributes = _attributes_of(value)
    if isinstance(value, Mapping):
        items = [(str(key), part) for key, part in value.items()]
        return [*items, *attributes] if isinstance(value, dict) else items  # others keep their items in attributes
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return [*zip(value._fields, value, strict=True), *attributes]
    if isinstance(value, list | tuple | set | frozenset | deque) or (not attributes and isinstance(value, Iterable)):
        return [*((str(number), part) for number, part in enumerate(value)), *attributes]
    return attributes


def _attributes_of(value: Any) -> list[tuple[str, Any]]:
    slots = list[str]()
    for kind in type(value).__mro__:
        own = vars(kind).get("__slots__", ())
        private = f"_{kind.__name__.lstrip('_')}"
        slots += [
            private + name if name.startswith("__") and not name.endswith("__") else name
            for name in ([own] if isinstance(own, str) else own)
        ]
    found = {name: getattr(value, name) for name in slots if hasattr(value, name)}
    return [*{**found, **getattr(value, "__dict__", {})}.items()]


def _bound_by(value: FunctionType | MethodType | functools.partial[Any]) -> list[tuple[str, Any]]:
    """What a function that is given out holds: it may compute with it later."""
    if isinstance(value, functools.partial):
        return [("func", value.func), *((str(i), part) for i, part in enumerate(value.args)), *value.keywords.items()]
    if isinstance(value, MethodType):
        return [("self", value.__self__)]
    free = inspect.getclosurevars(value).nonlocals
    return [*free.items(), *((str(number), part) for number, part in enumerate(value.__defaults__ or ()))]
