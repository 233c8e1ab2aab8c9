"""The network itself inside of what others put around it: processes, compilers, weights that are computed."""

from __future__ import annotations

import copy
from typing import cast

from torch import Tensor, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize, prune, remove_spectral_norm, remove_weight_norm
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from netslim.core.errors import UsageError
from netslim.core.torch_internals import compiled_from


def unwrapped(model: nn.Module) -> nn.Module:
    """The network inside of DataParallel, DistributedDataParallel and torch.compile, whose names have no prefix."""
    while True:
        if isinstance(model, DataParallel | DistributedDataParallel):
            model = model.module
        elif (inner := compiled_from(model)) is not None:
            model = inner
        else:
            return model


def plain(model: nn.Module) -> nn.Module:
    """The network inside, with every weight a parameter: of one whose weights are computed, a copy with their values.

    Computed are weights under `torch.nn.utils.parametrizations` (weight_norm, spectral_norm, orthogonal), under the
    older functions of the same names, and under `torch.nn.utils.prune`. What is computed from all of a weight can't
    follow a part of it, so these stay fixed at the values that they have.

    Raises:
        UsageError: a network that torch scripted, that has no values yet, or whose shapes are not known yet.
    """
    _check(model)
    model = unwrapped(model)
    if not any(_computed(module) for module in model.modules()):
        return model
    known = {id(value): value.detach().clone() for module in model.modules() for value in _loose_tensors(module)}
    copied = copy.deepcopy(model, known)
    for module in copied.modules():
        _fix_(module)
    return copied


def _check(model: nn.Module) -> None:
    name = type(model).__name__
    if any(type(kind).__name__ == "ScriptMeta" for kind in type(model).__mro__):
        raise UsageError(f"{name} was compiled by torch.jit, and can't be cut: give the network that it was made from")
    for key, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if is_lazy(tensor):
            raise UsageError(f"{name}: the shape of {key} is not known yet: run the network once on an input")


def _computed(module: nn.Module) -> bool:
    return parametrize.is_parametrized(module) or bool(_hooks(module))


def _hooks(module: nn.Module) -> list[object]:
    kinds = (WeightNorm, SpectralNorm, prune.BasePruningMethod)
    return [hook for hook in module._forward_pre_hooks.values() if isinstance(hook, kinds)]


def _loose_tensors(module: nn.Module) -> list[Tensor]:
    """Weights that a hook computed: they are attributes, and have a history that can't be copied."""
    return [value for value in vars(module).values() if isinstance(value, Tensor) and not value.is_leaf]


def _fix_(module: nn.Module) -> None:
    if parametrize.is_parametrized(module):
        module.__class__ = _own_class(type(module))
        for name in list(cast(nn.ModuleDict, module.parametrizations)):
            parametrize.remove_parametrizations(module, name, leave_parametrized=True)
    for hook in _hooks(module):
        if isinstance(hook, WeightNorm):
            remove_weight_norm(module, hook.name)
        elif isinstance(hook, SpectralNorm):
            remove_spectral_norm(module, hook.name)
        elif isinstance(hook, prune.BasePruningMethod):
            prune.remove(module, hook._tensor_name)  # type: ignore[no-untyped-call]


def _own_class(kind: type[nn.Module]) -> type[nn.Module]:
    """A class for this module alone: torch deletes attributes of it, which a copy shares with what it is a copy of."""
    own = {name: value for name, value in vars(kind).items() if name not in ("__dict__", "__weakref__")}
    return type(kind.__name__, kind.__bases__, own)
