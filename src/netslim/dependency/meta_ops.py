"""What operations give on shapes: tensors on torch's meta device, which have no values."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any

import torch
from torch import Tensor

from netslim.core.networks.torch_internals import PlainDispatchMode, tree_map

META = torch.device("meta")
_NORMALISED = {"native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training"}
_POOLED = {"max_pool2d_with_indices", "avg_pool2d", "_adaptive_avg_pool2d", "upsample_nearest2d", "upsample_bilinear2d"}
PACKING = {"_pack_padded_sequence", "_pad_packed_sequence"}
_REMEMBERED = 8192
_PLAIN = {int, float, bool, str, type(None)}  # types of what holds no tensors, asked first as most arguments are such
_Shape = tuple[torch.Size, tuple[int, ...], torch.dtype]  # with strides and type


class MetaOps:
    """Operations on shapes. Torch works most of them out in Python, and networks repeat themselves: what new tensors
    have is remembered here.
    """

    def __init__(self) -> None:
        self._known: dict[object, tuple[_Shape, ...]] = {}

    def __call__(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What an operation gives. BatchNorm keeps its input's shape, which takes torch a millisecond to find out."""
        name = func.overloadpacket.__name__
        if name in _NORMALISED:
            values = on_meta(args[0])
            like = _room(values.shape, values.dtype) if values.is_contiguous() else torch.empty_like(values)
            nothing = _room(torch.Size([0]), values.dtype)
            return like, nothing, nothing
        if name in PACKING:
            return _packed(func, *args)
        if kwargs.get("device") is not None:  # also what a network takes to the CPU stays a shape
            kwargs = {**kwargs, "device": META} if name == "_to_copy" else kwargs
        tensors = tensors_in((args, kwargs))
        if not all(tensor.is_meta for tensor in tensors):
            args, kwargs = tree_map(on_meta, (args, kwargs))
            tensors = tensors_in((args, kwargs))
        kind = _kind(func)
        if kind is _Kind.OTHER or not all(tensor.layout == torch.strided for tensor in tensors):
            return func(*args, **kwargs)
        if kind is not _Kind.NEW and _are_alike(tensors):
            return self._elementwise(func, args, kwargs, tensors[0], in_place=kind is _Kind.IN_PLACE)
        if kind is _Kind.IN_PLACE:
            return func(*args, **kwargs)
        if name == "addmm" and args[0].dim() == 1:
            return _linear(func, *args, **kwargs)
        channels = _channels(name, args)
        if channels is None:
            return self._remembered(func, args, kwargs)
        return _averaged(func, *args, **kwargs) if name == "mean" else self._layer(func, args, kwargs, channels)

    def _layer(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], channels: int) -> Any:
        """What a layer gives, whose other sides are the same for any number of channels: cut networks have another.

        A convolution's number of groups (its ninth argument) changes none either.
        """
        weights = sum(isinstance(arg, Tensor) for arg in args)
        sides = [(each.dtype, *(each.shape[:1] if each is args[0] else ()), *each.shape[2:]) for each in args[:weights]]
        key = (func, torch.get_default_dtype(), "layer", *sides, _description(args[weights:8]), _description(kwargs))
        known = self._known.get(key)
        if known is not None:
            found = [_room(torch.Size((size[0], channels, *size[2:])), dtype) for size, _, dtype in known]
            return found[0] if len(found) == 1 else tuple(found)
        result = func(*args, **kwargs)
        out = tensors_in(result)
        if all(own.dim() > 1 and own.shape[1] == channels and own.is_contiguous() for own in out):
            self._remember(key, out)
        return result

    def _remembered(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """New tensors, by the shapes of all that the operation is given."""
        key = (func, torch.get_default_dtype(), _description(args), _description(kwargs))
        if (known := self._known.get(key)) is not None:
            out = [torch.empty_strided(size, stride, dtype=dtype, device=META) for size, stride, dtype in known]
            return out[0] if len(func._schema.returns) == 1 else tuple(out)
        result = func(*args, **kwargs)
        out = tensors_in(result)
        if len(out) == len(func._schema.returns) and all(tensor.is_meta for tensor in out):
            self._remember(key, out)
        return result

    def _elementwise(
        self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], like: Tensor, in_place: bool
    ) -> Any:
        """Of tensors of one shape, which torch lays out alike: it is theirs, and the type the same for all shapes."""
        key = (func, torch.get_default_dtype(), _types(args), _types(kwargs))
        known = self._known.get(key)
        if known is not None:
            return args[0] if in_place else _room(like.shape, known[0][2])
        result = _on_nothing(func, args, kwargs)
        if result is None or result.dim() != like.dim() or result.numel() != (like.dim() == 0):
            return func(*args, **kwargs)
        self._remember(key, [result])
        return args[0] if in_place else _room(like.shape, result.dtype)

    def _remember(self, key: object, out: Sequence[Tensor]) -> None:
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[key] = tuple((tensor.shape, tensor.stride(), tensor.dtype) for tensor in out)


class ShapesOnly(PlainDispatchMode):  # type: ignore[no-untyped-call]
    """Inside, operations give shapes where one of their tensors is only a shape."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._meta_ops = MetaOps()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None) -> Any:
        """Called by torch for every operation."""
        return self._meta_ops(func, args, kwargs or {})


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
    _gather((tree,), found)
    return found


def written_by(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Tensor]:
    """The tensors that an operation writes to, if it writes to any: its first argument, and `out`."""
    return tensors_in((args[:1], kwargs.get("out"))) if func._schema.is_mutable else []


def _gather(branches: Iterable[Any], found: list[Tensor]) -> None:
    for branch in branches:
        if type(branch) in _PLAIN:
            continue
        if isinstance(branch, Tensor):
            found.append(branch)
        elif isinstance(branch, list | tuple):
            _gather(branch, found)
        elif isinstance(branch, dict):
            _gather(branch.values(), found)


class _Kind(Enum):
    """What is known of an operation of torch's own."""

    NEW = "gives tensors that share no memory with what it is given"
    ELEMENTWISE = "gives one such tensor, each element from those at its place"
    IN_PLACE = "writes such elements to its first argument, and gives that"
    OTHER = "anything"


@functools.cache
def _kind(func: Any) -> _Kind:
    returns, schema = func._schema.returns, func._schema
    if func.namespace != "aten" or not returns or any(str(own.type) != "Tensor" for own in returns):
        return _Kind.OTHER
    single = len(returns) == 1 and torch.Tag.pointwise in func.tags
    if not schema.is_mutable and all(own.alias_info is None for own in returns):
        return _Kind.ELEMENTWISE if single else _Kind.NEW
    written = [argument.is_write for argument in schema.arguments]
    in_place = (
        single and func.overloadpacket.__name__.endswith("_") and written == [True] + [False] * (len(written) - 1)
    )
    return _Kind.IN_PLACE if in_place else _Kind.OTHER


def _channels(name: str, args: tuple[Any, ...]) -> int | None:
    """How many channels an image layer gives, if they are at work here as they always are; None for all else."""
    images = args[0] if args else None
    if not isinstance(images, Tensor) or images.dim() != 4 or images.shape[1] < 2 or not images.is_contiguous():
        return None
    if name in _POOLED or (name == "mean" and len(args) > 1 and args[1] and {dim % 4 for dim in args[1]} <= {2, 3}):
        return images.shape[1]
    if name != "convolution" or len(args) != 9 or args[6]:  # transposed
        return None
    weight, bias, groups = args[1], args[2], args[8]
    fits = weight.shape[1] * groups == images.shape[1] and weight.shape[0] % groups == 0 and weight.is_contiguous()
    return weight.shape[0] if fits and (bias is None or bias.shape == weight.shape[:1]) else None


def _are_alike(tensors: Sequence[Tensor]) -> bool:
    """Whether there are some, all of one shape, and of the standard layout."""
    shapes = {tensor.shape for tensor in tensors if tensor.is_contiguous()}
    return len(shapes) == 1 and all(tensor.is_contiguous() for tensor in tensors)


def _on_nothing(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What an operation gives of tensors without elements, on the CPU; None where it is none of the CPU's.

    On shapes torch works many out in Python, and loads its compiler for that, which takes more than a second.
    """
    args, kwargs = tree_map(_emptied, (args, kwargs))
    try:
        return func(*args, **kwargs)
    except RuntimeError:
        return None


def _averaged(func: Any, images: Tensor, *options: Any, **more: Any) -> Tensor:
    """The mean over sides of images (N, C, H, W), by that of no channels on the CPU, for the same reason."""
    found = func(torch.empty((0, 0, *images.shape[2:]), dtype=images.dtype), *options, **more)
    return _room(torch.Size((*images.shape[:2], *found.shape[2:])), found.dtype)


def _linear(func: Any, bias: Tensor, rows: Tensor, weight: Tensor, **more: Any) -> Tensor:
    """Rows (N, features) times a weight, by no rows on the CPU, for the same reason; no memory is touched there.

    Where the types differ the CPU has none, and shapes do as in a network that was not brought to its input's type.
    """
    if len({tensor.dtype for tensor in (bias, rows, weight)}) > 1:
        result: Tensor = func(bias, rows, weight, **more)
        return result
    none = torch.empty((0, *rows.shape[1:]), dtype=rows.dtype)
    found = func(torch.empty_like(bias, device="cpu"), none, torch.empty_like(weight, device="cpu"), **more)
    return _room(torch.Size((*rows.shape[:1], *found.shape[1:])), found.dtype)


def _emptied(leaf: Any) -> Any:
    return torch.empty((0,) * leaf.dim(), dtype=leaf.dtype) if isinstance(leaf, Tensor) else leaf


def _room(shape: torch.Size, dtype: torch.dtype) -> Tensor:
    """`Tensor.new_empty` on shapes, which takes torch ten times as long."""
    return torch.empty(shape, dtype=dtype, device=META)


def _description(tree: Any) -> object:
    """All that the result's shape can depend on; 1, 1.0 and True are three."""
    if isinstance(tree, Tensor):
        return tree.shape, tree.stride(), tree.dtype
    if isinstance(tree, dict):
        return tuple((key, _description(value)) for key, value in tree.items())
    if isinstance(tree, list | tuple):
        return tuple([_description(branch) for branch in tree])
    return type(tree), tree


def _types(tree: Any) -> object:
    """The same without shapes."""
    if isinstance(tree, Tensor):
        return tree.dtype
    if isinstance(tree, dict):
        return tuple((key, _types(value)) for key, value in tree.items())
    if isinstance(tree, list | tuple):
        return tuple([_types(branch) for branch in tree])
    return type(tree), tree


def on_meta(leaf: Any) -> Any:
    """A tensor's shape; anything else as it is."""
    return leaf.to(META) if isinstance(leaf, Tensor) and not leaf.is_meta else leaf
