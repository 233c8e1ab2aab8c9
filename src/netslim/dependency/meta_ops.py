"""What operations give on shapes: tensors on torch's meta device, which have no values."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor

from netslim.core.networks.torch_internals import tree_map

META = torch.device("meta")
_NORMALISED = {"native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training"}
PACKING = {"_pack_padded_sequence", "_pad_packed_sequence"}
_REMEMBERED = 8192
_NUMBERS = {int, float, bool}
_Shape = tuple[torch.Size, tuple[int, ...], torch.dtype]  # with strides and type


class MetaOps:
    """Operations on shapes. Torch works most of them out in Python, and networks repeat themselves: what new tensors
    have is remembered here.
    """

    def __init__(self) -> None:
        self._known: dict[object, tuple[_Shape, ...]] = {}

    def __call__(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What an operation gives. BatchNorm keeps its input's shape, which takes torch a millisecond to find out."""
        if func.overloadpacket.__name__ in _NORMALISED:
            values = on_meta(args[0])
            like = values.new_empty(values.shape) if values.is_contiguous() else torch.empty_like(values)
            return like, values.new_empty(0), values.new_empty(0)
        if func.overloadpacket.__name__ in PACKING:
            return _packed(func, *args)
        if kwargs.get("device") is not None:  # also what a network takes to the CPU stays a shape
            kwargs = {**kwargs, "device": META} if func.overloadpacket.__name__ == "_to_copy" else kwargs
        tensors = tensors_in((args, kwargs))
        if not all(tensor.is_meta for tensor in tensors):
            args, kwargs = tree_map(on_meta, (args, kwargs))
        if not (_gives_new_tensors(func) and all(tensor.layout == torch.strided for tensor in tensors)):
            return func(*args, **kwargs)
        key = (func, torch.get_default_dtype(), _description(args), _description(kwargs))
        if (known := self._known.get(key)) is not None:
            out = [torch.empty_strided(size, stride, dtype=dtype, device=META) for size, stride, dtype in known]
            return out[0] if len(func._schema.returns) == 1 else tuple(out)
        result = func(*args, **kwargs)
        out = tensors_in(result)
        if len(out) == len(func._schema.returns) and all(tensor.is_meta for tensor in out):
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[key] = tuple((tensor.shape, tensor.stride(), tensor.dtype) for tensor in out)
        return result


def _packed(func: Any, data: Tensor, lengths: Tensor, *options: Any) -> Any:
    """Sequences packed, or unpacked: their lengths are numbers on the CPU. Unknown ones are taken to be full."""
    kept = 2 if func.overloadpacket.__name__ == "_pack_padded_sequence" else 1  # dimensions before the channels
    if lengths.is_meta:
        lengths = torch.full(lengths.shape, data.shape[1 if options[0] else 0])
    like, more = func(torch.zeros(data.shape[:kept]), lengths, *options)
    return torch.empty((*like.shape, *data.shape[kept:]), dtype=data.dtype, device=META), more


def tensors_in(tree: Any) -> list[Tensor]:
    """The tensors in what an operation takes or gives: lists, tuples and dictionaries of them."""
    found: list[Tensor] = []
    _gather(tree, found)
    return found


def _gather(tree: Any, found: list[Tensor]) -> None:
    if isinstance(tree, Tensor):
        found.append(tree)
    elif isinstance(tree, list | tuple):
        for branch in tree:
            if branch is not None and type(branch) not in _NUMBERS:
                _gather(branch, found)
    elif isinstance(tree, dict):
        _gather([*tree.values()], found)


@functools.cache
def _gives_new_tensors(func: Any) -> bool:
    """Whether an operation is torch's own and gives tensors that share no memory with what it is given."""
    returns = func._schema.returns
    single = all(str(own.type) == "Tensor" and own.alias_info is None for own in returns)
    return func.namespace == "aten" and not func._schema.is_mutable and bool(returns) and single


def _description(tree: Any) -> object:
    """All that the result's shape can depend on; 1, 1.0 and True are three."""
    if isinstance(tree, Tensor):
        return tree.shape, tree.stride(), tree.dtype
    if isinstance(tree, dict):
        return tuple((key, _description(value)) for key, value in tree.items())
    if isinstance(tree, list | tuple):
        return tuple([_description(branch) for branch in tree])
    return type(tree), tree


def on_meta(leaf: Any) -> Any:
    """A tensor's shape; anything else as it is."""
    return leaf.to(META) if isinstance(leaf, Tensor) and not leaf.is_meta else leaf
