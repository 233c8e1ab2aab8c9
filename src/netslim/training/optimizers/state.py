"""Any optimizer's state in a file, by number of the parameter, and what pruning leaves of it.

SGD's has a form of its own, which the original scripts read: see `netslim.training.optimizer`.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from netslim.core.errors import CheckpointError
from netslim.training.optimizer import export_state, import_state

BY_PARAMETER = "parameters"
States = dict[str, dict[str, Any]]  # by parameter name, what the optimizer remembers


def saved(optimizer: torch.optim.Optimizer, model: nn.Module, *, momentum: bool = True) -> dict[str, Any]:
    """What a checkpoint keeps of an optimizer; without `momentum` its settings alone."""
    if isinstance(optimizer, torch.optim.SGD):
        return export_state(optimizer, model, momentum=momentum)
    numbers = _numbers(model)
    groups = [{"lr": float(optimizer.param_groups[0]["lr"]), "params": [*numbers.values()]}]
    state = {numbers[name]: own for name, own in _states(optimizer, model).items()} if momentum else {}
    return {"state": state, "param_groups": groups, "numbering": BY_PARAMETER}


def is_sgds(found: Mapping[str, Any]) -> bool:
    """Whether this is SGD's state in the form of the original scripts."""
    return found.get("numbering") != BY_PARAMETER


def restored_(optimizer: torch.optim.Optimizer, model: nn.Module, found: dict[str, Any]) -> None:
    """Puts what `saved` kept back. Raises CheckpointError if it does not fit the optimizer or the network."""
    if isinstance(optimizer, torch.optim.SGD):
        import_state(optimizer, model, found)
        return
    set_states_(optimizer, model, states_in(found, model))


def states_in(found: Mapping[str, Any], model: nn.Module) -> States:
    """What `saved` kept, by parameter name."""
    state = found.get("state", {})
    return {name: dict(state[number]) for name, number in _numbers(model).items() if number in state}


def with_states(found: Mapping[str, Any], model: nn.Module, states: States) -> dict[str, Any]:
    """The settings in `found` with this state instead of its own, in the numbering of `model`."""
    numbers = _numbers(model)
    groups = [{**found["param_groups"][0], "params": [*numbers.values()]}]
    state = {numbers[name]: own for name, own in states.items()}
    return {"state": state, "param_groups": groups, "numbering": BY_PARAMETER}


def set_states_(optimizer: torch.optim.Optimizer, model: nn.Module, states: States) -> None:
    """Gives the optimizer this state. Raises CheckpointError if it is not the state of such an optimizer."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    data = optimizer.state_dict()
    packed = [number for group in data["param_groups"] for number in group["params"]]
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    data["state"] = {
        number: states[names[id(parameter)]]
        for number, parameter in zip(packed, parameters, strict=True)
        if names.get(id(parameter)) in states
    }
    for name, parameter in model.named_parameters():
        for key, value in states.get(name, {}).items():
            if isinstance(value, Tensor) and value.ndim == parameter.ndim and value.shape != parameter.shape:
                raise CheckpointError(
                    f"the optimizer's {key} of {name} has shape {tuple(value.shape)}, not {tuple(parameter.shape)}"
                )
    optimizer.load_state_dict(data)


def per_weight(states: States, model: nn.Module) -> dict[str, dict[str, Tensor]]:
    """By kind of state ("exp_avg"), the tensors that have a number for each weight, by parameter name.

    Raises:
        CheckpointError: the optimizer remembers something that is neither that nor a single number: nobody knows which
            of it belongs to a channel.
    """
    kinds: dict[str, dict[str, Tensor]] = {}
    parameters = dict(model.named_parameters())
    for name, own in states.items():
        for key, value in own.items():
            if isinstance(value, int | float | None) or (isinstance(value, Tensor) and value.ndim == 0):
                continue  # one for all of the weight: the number of steps
            if not isinstance(value, Tensor):
                raise CheckpointError(f"the optimizer's {key} of {name} is a {type(value).__name__}")
            if value.shape != parameters[name].shape:
                raise CheckpointError(
                    f"the optimizer's {key} of {name} has shape {tuple(value.shape)} and the weight "
                    f"{tuple(parameters[name].shape)}, so which of it stays is not known"
                )
            kinds.setdefault(key, {})[name] = value
    return kinds


def _states(optimizer: torch.optim.Optimizer, model: nn.Module) -> States:
    return {
        name: {key: value.detach().cpu() if isinstance(value, Tensor) else value for key, value in own.items()}
        for name, parameter in model.named_parameters()
        if (own := optimizer.state.get(parameter))
    }


def _numbers(model: nn.Module) -> dict[str, int]:
    return {name: number for number, (name, _) in enumerate(model.named_parameters())}
