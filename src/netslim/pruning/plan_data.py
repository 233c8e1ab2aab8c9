"""Plans as plain data, for JSON and checkpoints; those of earlier versions are read as well."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pydantic
import torch

from netslim.core.errors import CheckpointError, UsageError
from netslim.core.networks.example import Inputs, TensorSpec, inputs_from_dict
from netslim.core.protocols import PrunePlan
from netslim.core.schemas import LARGEST_INPUT, Architecture, as_model, explained, read_json

_PLAN = pydantic.TypeAdapter(PrunePlan)


def plan_from_dict(data: Mapping[str, Any]) -> PrunePlan:
    """A plan from the plain data of `PrunePlan.to_dict`. Raises UsageError if it is not one."""
    try:
        if isinstance(data, Mapping) and isinstance(data.get("arch"), Mapping):
            as_model(Architecture, data["arch"])
        plan = _PLAN.validate_json(
            json.dumps({**data, "resolved": None}), strict=True
        )  # JSON's types: a list is a tuple, but "3" no number
    except pydantic.ValidationError as error:
        raise UsageError(f"this is no prune plan: {explained(error)}") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise UsageError(f"this is no prune plan: {error}") from error
    if plan.inputs is not None:
        _check_inputs(plan.inputs)
    if not plan.input_shape or min(plan.input_shape) < 1 or math.prod(plan.input_shape) > LARGEST_INPUT:
        raise UsageError(f"this is no prune plan: input_shape {plan.input_shape} is not possible")
    return plan


def _check_inputs(inputs: Mapping[str, Any]) -> None:
    try:
        specs = inputs_from_dict(inputs).tensors
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UsageError(f"this is no prune plan: its inputs are none: {type(error).__name__} {error}") from error
    if not specs or any(min(spec.shape, default=1) < 1 or math.prod(spec.shape) > LARGEST_INPUT for spec in specs):
        raise UsageError("this is no prune plan: its inputs are not possible")


def inputs_of(plan: PrunePlan) -> Inputs:
    """What the network of a plan runs on: `TensorSpec`s in the places of tensors."""
    if plan.inputs is not None:
        return inputs_from_dict(plan.inputs)
    return Inputs((TensorSpec(torch.Size(plan.input_shape), torch.get_default_dtype()),), {})


def read_plan(path: Path) -> PrunePlan:
    """The plan in a JSON file. Raises CheckpointError if there is none."""
    try:
        return plan_from_dict(read_json(path))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot read the plan {path}: {error}") from error
    except UsageError as error:
        raise CheckpointError(f"{path}: {error}") from error
