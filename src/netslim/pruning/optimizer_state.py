"""What an optimizer remembers of each parameter, cut as the parameters are."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from torch import Tensor, nn
from torch.optim import Optimizer

from netslim.core.errors import UsageError
from netslim.core.networks.copies import copied
from netslim.core.networks.wrappers import unwrapped
from netslim.core.protocols import PrunePlan, plan_of
from netslim.pruning.cut_check import cut
from netslim.pruning.resolve_plan import resolve

_ANEW = "make a new optimizer for the small network instead"
O = TypeVar("O", bound=Optimizer)  # noqa: E741


def carried(momentum: Mapping[str, Tensor], model: nn.Module, plan: PrunePlan) -> dict[str, Tensor]:
    """The momentum of what `plan` leaves of a network.

    The plan is applied to a copy of the network whose parameters are the momentum: whatever surgery does to a weight,
    it does to the weight's momentum.

    Args:
        momentum: by parameter name, of its parameter's shape; parameters may be missing.
        model: the network before pruning, left unchanged.
        plan: which channels stay.

    Returns:
        By parameter name of `apply(model, plan)`, of the shape that the parameter has there.

    Raises:
        UsageError: the plan is for another network, or a name or a shape is not the network's.
    """
    bearer = copied(model)
    parameters = dict(bearer.named_parameters())
    for name, buffer in momentum.items():
        if name not in parameters or parameters[name].shape != buffer.shape:
            found = tuple(parameters[name].shape) if name in parameters else "no such parameter"
            raise UsageError(f"the momentum of {name} has shape {tuple(buffer.shape)}, the network {found}")
        parameters[name].data = buffer.detach().clone()  # not copied into it: it may be of another type
    small = cut(bearer, resolve(model, plan))
    return {name: part.detach() for name, part in small.named_parameters() if name in momentum}


def carry(optimizer: O, model: nn.Module, small: nn.Module) -> O:
    """An optimizer for a pruned network that goes on where the network's own one is: with the state of what stays.

    What the optimizer remembers of each parameter (momentum, mean squares, ...) is cut as the parameter is; numbers and
    steps are copied. Groups keep their settings, and parameters that are not of `model` their state.

    Args:
        optimizer: of any class, over parameters of `model`; left unchanged.
        model: the network before pruning; may be wrapped (DistributedDataParallel, torch.compile).
        small: what `apply(model, plan)` returned.

    Returns:
        An optimizer of the same class, without the hooks of the other one. Learning rate schedulers refer to the other
        one: see `carry_`.

    Raises:
        UsageError: `small` was not pruned from `model`, or the optimizer has state that is neither a number nor of a
            parameter's shape, and so can't be cut (as Adafactor's and LBFGS's).

    >>> import torch, netslim
    >>> model = torch.nn.Sequential(
    ...     torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8),
    ...     torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(288, 10)
    ... )
    >>> _ = model[1].weight.data.copy_(torch.linspace(0.1, 0.8, 8))  # scales, as training with a penalty leaves them
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    >>> model(torch.randn(2, 3, 8, 8)).sum().backward()
    >>> optimizer.step()
    >>> small = netslim.apply(model, netslim.plan(model, torch.zeros(2, 3, 8, 8), percent=0.4))
    >>> going_on = netslim.carry(optimizer, model, small)
    >>> before, after = (part.state[net[1].weight] for part, net in ((optimizer, model), (going_on, small)))
    >>> torch.equal(after["momentum_buffer"], before["momentum_buffer"][4:])
    True
    """
    _check_attributes(optimizer)
    groups, state = _cut(optimizer, model, small)
    left = ("step", "state", "param_groups", "_opt_called")  # `step` here is what a scheduler put around it
    kept = {name: value for name, value in vars(optimizer).items() if name not in left and not name.endswith("_hooks")}
    new = type(optimizer).__new__(type(optimizer))
    new.__setstate__({**kept, "defaults": dict(optimizer.defaults), "state": state, "param_groups": groups})
    return new


def carry_(optimizer: Optimizer, model: nn.Module, small: nn.Module) -> None:
    """`carry` in place: schedulers, scalers and trainers that refer to the optimizer go on with it.

    Args:
        optimizer: afterwards over the parameters of `small`; after an error it is as before.
        model, small: as for `carry`.

    Raises:
        UsageError: as `carry`.

    >>> import torch, netslim
    >>> model, images = netslim.create_model("resnet", depth=11, num_classes=10), torch.randn(2, 3, 16, 16)
    >>> optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    >>> scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    >>> small = netslim.apply(model, netslim.plan(model, images, percent=0.5, criterion="l2_norm"))
    >>> netslim.carry_(optimizer, model, small)
    >>> optimizer.param_groups[0]["params"][0] is small.conv1.weight, scheduler.optimizer is optimizer
    (True, True)
    """
    _check_attributes(optimizer)
    groups, state = _cut(optimizer, model, small)
    for group, new in zip(optimizer.param_groups, groups, strict=True):
        group["params"][:] = new["params"]
        if "param_names" in new:
            group["param_names"] = new["param_names"]
    optimizer.state.clear()
    optimizer.state.update(state)


def _cut(
    optimizer: Optimizer, model: nn.Module, small: nn.Module
) -> tuple[list[dict[str, Any]], defaultdict[Tensor, Any]]:
    """Groups and state for the small network."""
    model, small = unwrapped(model), unwrapped(small)
    plan = plan_of(small)
    if plan is None:
        raise UsageError("this network was not pruned, so that the optimizer can stay; give what apply() returned")
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    left = _counterparts(model, small)
    if not trains(optimizer, model):
        raise UsageError("the optimizer has no parameter of the network before: give the one that trains it, once")
    groups = []
    for group in optimizer.param_groups:
        pairs = [(parameter, _new(parameter, names, left)) for parameter in group["params"]]
        kept = [(old, new) for old, new in pairs if new is not None]
        settings = {name: copy.copy(value) for name, value in group.items() if name not in ("params", "param_names")}
        if "param_names" in group:
            together = zip(group["param_names"], pairs, strict=True)
            settings["param_names"] = [name for name, (_, new) in together if new is not None]
        groups.append({"params": [new for _, new in kept], **settings})
    tensors = _by_entry(optimizer, names)
    cuts = {entry: carried(values, model, plan) for entry, values in tensors.items()}
    state: defaultdict[Tensor, Any] = defaultdict(dict)
    for parameter, own in optimizer.state.items():
        new = _new(parameter, names, left)
        if new is not None:
            name = names.get(id(parameter), "")
            state[new] = {entry: _moved(cuts.get(entry, {}).get(name), value, new) for entry, value in own.items()}
    return groups, state


def trains(optimizer: Optimizer, model: nn.Module) -> bool:
    """Whether an optimizer has a parameter of the network."""
    own = {id(parameter) for parameter in model.parameters()}
    return any(id(parameter) in own for group in optimizer.param_groups for parameter in group["params"])


def _moved(cut: Tensor | None, value: Any, new: Tensor) -> Any:
    """An entry of the state for a new parameter: what was cut, on its device, or else a copy of what it was."""
    if cut is None:
        return value.detach().clone() if isinstance(value, Tensor) else copy.copy(value)
    if cut.shape != new.shape:
        raise UsageError(
            "the small network has other shapes than its plan leaves of this one: give what apply() returned"
        )
    return cut.to(new.device)


def _new(parameter: Tensor, names: Mapping[int, str], left: Mapping[str, nn.Parameter]) -> Tensor | None:
    """What stands for a parameter in the small network: itself where it is not the network's, None if it is gone."""
    name = names.get(id(parameter))
    return parameter if name is None else left.get(name)


def _counterparts(model: nn.Module, small: nn.Module) -> dict[str, nn.Parameter]:
    """The small network's parameters by name."""
    left = dict(small.named_parameters())
    unknown = left.keys() - dict(model.named_parameters()).keys()
    if unknown:
        raise UsageError(
            f"the small network's {min(unknown)} is no parameter of the network before, where it may be computed "
            f"(weight_norm and the like): {_ANEW}"
        )
    return left


def _by_entry(optimizer: Optimizer, names: Mapping[int, str]) -> dict[str, dict[str, Tensor]]:
    """Per entry of the state, by parameter name, the tensors that are of their parameter's shape."""
    found: dict[str, dict[str, Tensor]] = defaultdict(dict)
    for parameter, own in optimizer.state.items():
        name = names.get(id(parameter)) if isinstance(parameter, Tensor) else None
        if name is None:
            continue
        for entry, value in own.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                found[entry][name] = value
            elif (
                not (isinstance(value, Tensor) and value.numel() == 1)
                and (held := next(_tensors(value), None)) is not None
            ):
                raise UsageError(
                    f"{type(optimizer).__name__} has state that can't be cut: '{entry}' of {name}, which has shape "
                    f"{tuple(parameter.shape)}, holds shape {tuple(held.shape)}: {_ANEW}"
                )
    return found


def _check_attributes(optimizer: Optimizer) -> None:
    """Raises UsageError where an optimizer refers to parameters, or to another optimizer, in a way of its own.

    Likewise for what is no optimizer.
    """
    if not isinstance(optimizer, Optimizer):
        raise UsageError(
            f"an optimizer is a torch.optim.Optimizer, and what was given is of type {type(optimizer).__name__}: the "
            f"order is carry(optimizer, model, small)"
        )
    for name, value in vars(optimizer).items():
        if name in ("state", "param_groups", "step") or name.endswith("_hooks"):
            continue
        if isinstance(value, Optimizer) or any(isinstance(each, nn.Parameter) for each in _tensors(value)):
            raise UsageError(f"{type(optimizer).__name__} refers to parameters in its '{name}', too: {_ANEW}")


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping | list | tuple | set):
        parts: Iterable[Any] = value.values() if isinstance(value, Mapping) else value
        for part in parts:
            yield from _tensors(part)
