"""Cutting entries out of parameters and buffers, and making the modules say so."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from netslim.core.networks.scale_norms import lose_groups_
from netslim.core.protocols import Slice
from netslim.dependency.meta import copied_buffers, duplicate, without_values
from netslim.dependency.meta_ops import META
from netslim.dependency.trace import Place, Width

M = TypeVar("M", bound=nn.Module)


def keeps_of(
    slices: Sequence[Sequence[Slice]], kept: Sequence[Sequence[int]], sizes: Mapping[Place, int]
) -> dict[Place, Tensor]:
    """Per dimension that loses entries, the indices that stay.

    Args:
        slices: per group, where its channels sit.
        kept: per group, the channels that stay.
        sizes: the length of each dimension.
    """
    gone: dict[Place, list[Tensor]] = defaultdict(list)
    for parts, keep in zip(slices, kept, strict=True):
        stays = torch.tensor(keep, dtype=torch.int64)
        taken: dict[int, Tensor] = {}  # most parts of a group share their positions
        for part in parts:
            own = id(part.positions)
            if own not in taken:
                taken[own] = part.positions[_others(stays, len(part.positions))].flatten()
            gone[part.tensor, part.dim].append(taken[own])
    keeps: dict[Place, Tensor] = {}
    left: dict[tuple[int, ...], Tensor] = {}
    for place, entries in gone.items():
        alike = (sizes[place], *map(id, entries))
        if alike not in left:
            left[alike] = _others(torch.cat(entries), sizes[place])
        if len(left[alike]) < sizes[place]:
            keeps[place] = left[alike]
    return keeps


def _others(some: Tensor, count: int) -> Tensor:
    """The numbers below `count` that are not among `some`."""
    mask = torch.ones(count, dtype=torch.bool)
    mask[some] = False
    return mask.nonzero().flatten()


def sizes_of(model: nn.Module) -> dict[Place, int]:
    """The length of every dimension of every parameter and buffer."""
    named = [*model.named_parameters(), *model.named_buffers()]
    return {(name, dim): size for name, tensor in named for dim, size in enumerate(tensor.shape)}


def rebuilt(
    model: M, keeps: Mapping[Place, Tensor], widths: Mapping[Width, Place] | None = None, *, hollow: bool = False
) -> M:
    """A copy of the network that has only the entries in `keeps`, its modules' sizes adapted.

    Args:
        model: left unchanged.
        keeps: per (name, dimension) the indices that stay; dimensions that are not named stay whole.
        widths: numbers that modules hold, and whose length each of them is.
        hollow: whether parameters have shapes only.
    """
    copies: dict[int, object] = {**copied_buffers(model)} if hollow else {}
    changed: dict[int, str] = {}
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        left = {dim: keeps[name, dim] for dim in range(tensor.dim()) if (name, dim) in keeps}
        parameter = isinstance(tensor, nn.Parameter)
        if not left and not parameter:
            continue
        values = _cut_shape(tensor, left) if hollow and parameter else _cut_values(tensor, left)
        copies[id(tensor)] = nn.Parameter(values, requires_grad=tensor.requires_grad) if parameter else values
        if left:
            changed[id(copies[id(tensor)])] = name
    small = duplicate(model, copies)
    _adapt_(small, changed, keeps)
    for width, place in (widths or {}).items():
        if place in keeps:
            _set_width_(small.get_submodule(width.module), width, len(keeps[place]))
    return small


def _cut_values(tensor: Tensor, left: Mapping[int, Tensor]) -> Tensor:
    """A copy of what stays of a tensor, given the indices that stay in some of its dimensions."""
    values = tensor.detach()
    for dim, keep in left.items():
        values = _like(values.index_select(dim, keep.to(values.device)), tensor)
    return values if left else values.clone()


def _cut_shape(tensor: Tensor, left: Mapping[int, Tensor]) -> Tensor:
    """Likewise without values."""
    if not left:
        return without_values(tensor)
    sides = [len(left[dim]) if dim in left else size for dim, size in enumerate(tensor.shape)]
    return _like(torch.empty(sides, dtype=tensor.dtype, device=META), tensor)


def _adapt_(small: nn.Module, changed: Mapping[int, str], keeps: Mapping[Place, Tensor]) -> None:
    """Makes the attributes of all modules that hold a tensor which was cut say what it is.

    One walk through all tensors: to ask each module for its own takes as long as all else together.

    Args:
        small: the copy.
        changed: by id of these tensors, their names.
        keeps: as in `rebuilt`.
    """
    named = [*small.named_parameters(remove_duplicate=False), *small.named_buffers(remove_duplicate=False)]
    holders: dict[int, tuple[nn.Module, str]] = {}
    for name, tensor in named:
        if id(tensor) in changed:
            module = small.get_submodule(name.rpartition(".")[0])
            holders.setdefault(id(module), (module, changed[id(tensor)]))
    for module, name in holders.values():
        if isinstance(module, _ConvNd) and module.groups > 1:
            module.groups = _groups_left(module, keeps.get((f"{name.rpartition('.')[0]}.weight".lstrip("."), 0)))
        _adapt(module)


def first_changed(
    small: nn.Module, model: nn.Module, keeps: Mapping[Place, Tensor], shifts: Collection[str] = ()
) -> str | None:
    """The first weight of several dimensions that is not what stays of the one in `model`, to the bit; or None.

    Args:
        small: what was cut out of `model`.
        model: the network before.
        keeps: as in `rebuilt`.
        shifts: names of biases and means that are looked at as well.
    """
    before = {**dict(model.named_parameters()), **{name: own for name, own in model.named_buffers() if name in shifts}}
    for name, own in [*small.named_parameters(), *small.named_buffers()]:
        if (
            (own.dim() > 1 or name in shifts)
            and name in before
            and not _is_part(own, before[name].detach(), name, keeps)
        ):
            return name
    return None


def _is_part(parameter: Tensor, whole: Tensor, name: str, keeps: Mapping[Place, Tensor]) -> bool:
    """Whether a parameter is what stays of the one before, to the bit; what is no number stays none."""
    for dim in range(whole.dim()):
        if (name, dim) in keeps:
            whole = whole.index_select(dim, keeps[name, dim].to(whole.device))
    whole = whole.to(parameter)
    if parameter.shape != whole.shape or torch.equal(parameter, whole):
        return parameter.shape == whole.shape
    return torch.allclose(parameter, whole, rtol=0, atol=0, equal_nan=True)


def _adapt(module: nn.Module) -> None:
    """Makes a module's attributes say what its tensors are."""
    if isinstance(module, nn.Linear):
        module.out_features, module.in_features = module.weight.shape
    elif isinstance(module, _NormBase):
        module.num_features = next(len(t) for t in (module.weight, module.running_mean) if t is not None)
    elif isinstance(module, nn.GroupNorm):
        lose_groups_(module, len(module.weight))
    elif isinstance(module, _ConvTransposeNd):
        module.in_channels, module.out_channels = module.weight.shape[0], module.weight.shape[1] * module.groups
    elif isinstance(module, _ConvNd):
        module.out_channels, module.in_channels = module.weight.shape[0], module.weight.shape[1] * module.groups
    elif isinstance(module, nn.Bilinear):
        module.out_features, module.in1_features, module.in2_features = module.weight.shape
    elif isinstance(module, nn.Embedding):
        module.embedding_dim = module.weight.shape[1]
    elif isinstance(module, nn.RNNBase):
        module.input_size = module.get_parameter("weight_ih_l0").shape[1]


def _set_width_(module: nn.Module, width: Width, size: int) -> None:
    """Writes to a module how many channels are left."""
    if isinstance(module, nn.GroupNorm):
        lose_groups_(module, size)
    elif width.number is None:
        setattr(module, width.name, size)
    else:
        before = getattr(module, width.name)
        numbers = [size if number == width.number else own for number, own in enumerate(before)]
        setattr(module, width.name, type(before)(numbers))


def _groups_left(module: _ConvNd, keep: Tensor | None) -> int:
    """How many of a convolution's groups have outputs left: whole ones went, or equally many of each."""
    if keep is None:
        return module.groups
    along = module.in_channels if isinstance(module, _ConvTransposeNd) else module.out_channels
    return len(torch.unique(keep // (along // module.groups)))


def _like(values: Tensor, original: Tensor) -> Tensor:
    """Values in the memory layout of what they are from."""
    layout = {4: torch.channels_last, 5: torch.channels_last_3d}.get(values.dim())
    if layout is None or original.is_contiguous() or not original.is_contiguous(memory_format=layout):
        return values
    return values.contiguous(memory_format=layout)
