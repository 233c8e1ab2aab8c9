"""Which of a network's modules are residual blocks that can go as a whole, shown by running them."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from netslim.core.networks.example import Inputs, TensorSpec
from netslim.dependency.blocks.shortcut import Shortcut, shortcut_of, silence_group_
from netslim.dependency.groups import BoundGroup, Grouping
from netslim.dependency.meta import skeleton
from netslim.dependency.meta_ops import META, ShapesOnly

_NOISE = 0.1


def with_blocks(model: nn.Module, found: Grouping, inputs: Inputs) -> Grouping:
    """Derived groups that say which of them go together with a residual block.

    A block is a module that is called once, with one value, and that gives this value and a constant per channel, or
    the ReLU of this sum, once the groups inside it are silent: its shortcut is an identity. That is found by running
    a copy of the module alone, with noise on all its numbers, so that none hides anything by being zero. Of modules
    inside each other the innermost is the block. Declared groups stay as they are.

    Args:
        model: left unchanged.
        found: its groups.
        inputs: what it takes; shapes and types alone are used.
    """
    if found.derivation is None or found.derivation.decides:
        return found
    around = {own.group.name: _modules_around(own) for own in found.groups}
    shapes = _shapes(model, inputs, {name for names in around.values() for name in names})
    blocks: dict[str, str] = {}
    for name in sorted(shapes, key=lambda name: (-name.count("."), name)):
        inside = [own for own in found.groups if name in around[own.group.name]]
        if any(own.group.name in blocks for own in inside) or _is_tied(model, name):
            continue
        needed = [own for own in inside if own.group.scales] or inside
        if _can_go(model.get_submodule(name), name, needed, shapes[name]):
            blocks |= {own.group.name: name for own in needed}
    groups = [replace(own, group=replace(own.group, branch=blocks.get(own.group.name))) for own in found.groups]
    return replace(found, groups=tuple(groups))


def put_shortcuts_(small: nn.Module, names: Collection[str], inputs: Inputs) -> None:
    """Puts a `Shortcut` in the place of each of these blocks, whose groups are silent.

    Raises:
        ValueError: one of them is no such block.
    """
    shapes = _shapes(small, inputs, names)
    for name in names:
        left = shortcut_of(small.get_submodule(name), shapes[name]) if name in shapes else None
        if left is None:
            raise ValueError(f"{name} is not its shortcut and a constant")
        small.set_submodule(name, left.train(small.training))


def _modules_around(own: BoundGroup) -> list[str]:
    """The names of the modules that hold all tensors of a group, the network itself excepted."""
    paths = [part.tensor.split(".")[:-1] for part in own.slices]
    shared = 0
    while all(len(path) > shared and path[shared] == paths[0][shared] for path in paths):
        shared += 1
    return [".".join(paths[0][:count]) for count in range(1, shared + 1)]


def _shapes(model: nn.Module, inputs: Inputs, names: Collection[str]) -> dict[str, torch.Size]:
    """Of the modules that are called once, with one value, and give one of the same shape: that shape."""
    hollow = skeleton(model).eval()
    calls: dict[str, list[torch.Size | None]] = {}
    for name, module in hollow.named_modules():
        if name in names:
            module.register_forward_hook(partial(_note, calls.setdefault(name, [])), with_kwargs=True)
    real = next((own.dtype for own in model.parameters() if own.is_floating_point()), None)
    with ShapesOnly():
        inputs.map(partial(_empty, real)).call(hollow)
    return {name: own[0] for name, own in calls.items() if len(own) == 1 and own[0] is not None}


def _empty(real: torch.dtype | None, each: Tensor | TensorSpec) -> Tensor:
    """Without values, of the type of the network's own numbers."""
    dtype = real if real is not None and each.dtype.is_floating_point else each.dtype
    return torch.empty(each.shape, dtype=dtype, device=META)


def _note(
    calls: list[torch.Size | None], _: nn.Module, args: tuple[Any, ...], keywords: Mapping[str, Any], given: Any
) -> None:
    read = args[0] if len(args) == 1 and not keywords else None
    alike = isinstance(read, Tensor) and isinstance(given, Tensor) and read.shape == given.shape and read.dim() > 2
    calls.append(given.shape if alike else None)


def _is_tied(model: nn.Module, name: str) -> bool:
    """Whether something outside of a module holds one of its tensors, too."""
    inside = {id(tensor) for _, tensor in _tensors(model.get_submodule(name))}
    return any(id(tensor) in inside and not path.startswith(f"{name}.") for path, tensor in _tensors(model))


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from module.named_parameters(remove_duplicate=False)
    yield from module.named_buffers(remove_duplicate=False)


def _can_go(block: nn.Module, name: str, groups: Sequence[BoundGroup], shape: torch.Size) -> bool:
    """Whether a block is its shortcut and a constant once these groups are silent, whatever its numbers are."""
    noisy = copy.deepcopy(block)
    generator = torch.Generator().manual_seed(0)
    tensors = dict(_tensors(noisy))
    with torch.no_grad():
        for tensor in tensors.values():
            if tensor.is_floating_point():  # of a variance it stays above zero
                tensor.add_(_NOISE * torch.rand(tensor.shape, generator=generator).to(tensor))
        for own in groups:
            silence_group_({f"{name}.{path}": tensor for path, tensor in tensors.items()}, own.slices)
    return isinstance(shortcut_of(noisy, shape), Shortcut)
