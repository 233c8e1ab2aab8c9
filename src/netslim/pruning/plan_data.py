"""Plans as plain data, for JSON and checkpoints; those of earlier versions are read as well."""

from collections.abc import Mapping
from typing import Any

import torch

from netslim.core.errors import UsageError
from netslim.core.example import Inputs, TensorSpec, inputs_from_dict, inputs_to_dict
from netslim.core.protocols import ArchSpec, Budget, Cost, GroupPlan, LeftAlone, PrunePlan


def plan_from_dict(data: Mapping[str, Any]) -> PrunePlan:
    """A plan from the plain data of `PrunePlan.to_dict`. Raises UsageError if it is not one."""
    try:
        return _plan(data)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UsageError(f"this is no prune plan: {type(error).__name__} {error}") from error


def inputs_of(plan: PrunePlan) -> Inputs:
    """What the network of a plan runs on: `TensorSpec`s in the places of tensors."""
    if plan.inputs is not None:
        return inputs_from_dict(plan.inputs)
    return Inputs((TensorSpec(torch.Size(plan.input_shape), torch.get_default_dtype()),), {})


def _inputs(data: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if data is None else inputs_to_dict(inputs_from_dict(data))


def _plan(data: Mapping[str, Any]) -> PrunePlan:
    arch, budget = data["arch"], data.get("budget")
    return PrunePlan(
        arch=ArchSpec(name=arch["name"], arguments=dict(arch["arguments"])) if arch else None,
        groups=tuple(
            GroupPlan(name=str(g["name"]), total=int(g["total"]), keep=tuple(int(i) for i in g["keep"]))
            for g in data["groups"]
        ),
        percent=float(data["percent"]),
        criterion=str(data["criterion"]),
        min_channels=int(data["min_channels"]),
        clamped=tuple(str(name) for name in data["clamped"]),
        before=Cost(**data["before"]),
        after=Cost(**data["after"]),
        input_shape=tuple(int(size) for size in data["input_shape"]),
        traced=bool(data.get("traced", False)),
        left_alone=tuple(
            LeftAlone(name=str(part["name"]), channels=int(part["channels"]), reason=str(part["reason"]))
            for part in data.get("left_alone", ())
        ),
        budget=Budget(**budget) if budget else None,
        round_to=int(data.get("round_to", 1)),
        unrounded=tuple(str(name) for name in data.get("unrounded", ())),
        inputs=_inputs(data.get("inputs")),
        notes=tuple(str(note) for note in data.get("notes", ())),
    )
