"""The network itself inside of what others put around it: processes, compilers, weights that are computed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize, prune, remove_spectral_norm, remove_weight_norm
from torch.nn.utils.spectral_norm import SpectralNorm, SpectralNormLoadStateDictPreHook
from torch.nn.utils.weight_norm import WeightNorm
from torch.optim.swa_utils import AveragedModel

from netslim.core.errors import UsageError
from netslim.core.networks.computed_weights import fix_weight_, mixes_its_weight
from netslim.core.networks.copies import copied
from netslim.core.networks.torch_internals import compiled_from, holds_compiled


def unwrapped(model: nn.Module) -> nn.Module:
    """The network inside of DataParallel, DistributedDataParallel, AveragedModel and torch.compile: without prefixes.

    Raises:
        UsageError: it is no network.
    """
    check_network(model)
    while True:
        if isinstance(model, DataParallel | DistributedDataParallel | AveragedModel):
            model = model.module
        elif (inner := compiled_from(model)) is not None:
            model = inner
        else:
            return model


def check_network(model: object) -> None:
    """Raises UsageError for what is no network, with what was probably meant."""
    if isinstance(model, nn.Module):
        return
    if isinstance(model, type) and issubclass(model, nn.Module):
        raise UsageError(f"{model.__name__} is a class of networks: give one of them, as {model.__name__}(...)")
    weights = isinstance(model, Mapping)
    hint = "; make the network, then network.load_state_dict(...), and give the network" if weights else ""
    raise UsageError(f"a network is a torch.nn.Module, and what was given is of type {type(model).__name__}{hint}")


def plain(model: nn.Module) -> nn.Module:
    """The network inside, with every weight a parameter: of one whose weights are computed, a copy with their values.

    Likewise of one with parts that `torch.compile` wrapped, without these wrappers. Computed are weights under
    `torch.nn.utils.parametrizations` (weight_norm, spectral_norm, orthogonal), under the older functions of the same
    names, and under `torch.nn.utils.prune`, and those of layers that mix them anew in every call, as weight
    standardisation does. What is computed from all of a weight can't follow a part of it, so these stay fixed at the
    values that they have.

    Raises:
        UsageError: a network that torch scripted or sharded, that has no values yet, or whose shapes are not known yet.
    """
    model = unwrapped(model)
    _check(model)
    if not holds_compiled(model) and not any(map(_computed, model.modules())):
        return model
    found = copied(model)
    for module in found.modules():
        for name, child in module.named_children():
            setattr(module, name, unwrapped(child))
        _fix_(module)
    return found


def with_computed_weights(model: nn.Module) -> list[str]:
    """The names of the modules whose weights `plain` makes numbers."""
    return [name for name, module in unwrapped(model).named_modules() if _computed(module)]


def _check(model: nn.Module) -> None:
    name = type(model).__name__
    if any(type(kind).__name__ == "ScriptMeta" for kind in type(model).__mro__):
        raise UsageError(f"{name} was compiled by torch.jit, and can't be cut: give the network that it was made from")
    if _is_sharded(model):
        raise UsageError(f"{name} is spread over processes (FSDP), and can't be cut: prune it before it is sharded")
    check_shapes_known(model)


def _is_sharded(model: nn.Module) -> bool:
    """Whether FSDP spread parameters over processes: by names, since to import it takes a second."""
    kinds = {type(part).__name__ for part in [*model.modules(), *model.parameters()]}
    return not kinds.isdisjoint({"FullyShardedDataParallel", "DTensor"})


def check_shapes_known(model: nn.Module) -> None:
    """Raises UsageError for a network with lazy layers that has not run yet."""
    for key, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if is_lazy(tensor):
            name = type(model).__name__
            raise UsageError(f"{name}: the shape of {key} is not known yet: run the network once on an input")


def _computed(module: nn.Module) -> bool:
    return parametrize.is_parametrized(module) or bool(_hooks(module)) or mixes_its_weight(module)


def _hooks(module: nn.Module) -> list[object]:
    kinds = (WeightNorm, SpectralNorm, prune.BasePruningMethod)
    return [hook for hook in module._forward_pre_hooks.values() if isinstance(hook, kinds)]


def _fix_(module: nn.Module) -> None:
    if parametrize.is_parametrized(module):
        _fix_parametrized_(module)
    for hook in _hooks(module):
        if isinstance(hook, WeightNorm):
            remove_weight_norm(module, hook.name)
        elif isinstance(hook, SpectralNorm):
            remove_spectral_norm(module, hook.name)
            _read_plain_files_(module)
        elif isinstance(hook, prune.BasePruningMethod):
            prune.remove(module, hook._tensor_name)  # type: ignore[no-untyped-call]
    fix_weight_(module)


def _read_plain_files_(module: nn.Module) -> None:
    """Takes off what asks files for the weight before the norm: torch overlooks it, since hooks are wrapped."""
    for key, hook in [*module._load_state_dict_pre_hooks.items()]:
        if isinstance(getattr(hook, "hook", hook), SpectralNormLoadStateDictPreHook):
            del module._load_state_dict_pre_hooks[key]


def _fix_parametrized_(module: nn.Module) -> None:
    """What torch's `remove_parametrizations` does, which would take the weights off the original's class as well."""
    lists = cast(nn.ModuleDict, module.parametrizations).eval()  # a power iteration in training would move the weight
    values = {name: getattr(module, name).detach().clone() for name in lists}
    learnt = {name: [*lists[name].parameters(recurse=False)] for name in lists}
    module.__class__ = type(module).__bases__[0]
    del module.parametrizations
    for name, value in values.items():
        if learnt[name]:
            requires_grad = any(original.requires_grad for original in learnt[name])
            module.register_parameter(name, nn.Parameter(value, requires_grad=requires_grad))
        else:
            module.register_buffer(name, value)
