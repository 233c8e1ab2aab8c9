"""What files say of themselves, as typed models: metadata of checkpoints, `run.json`, rows of `metrics.jsonl`.

Types are strict (a number in quotes is no number) and sizes are bounded, so that nothing that a file claims can take
memory or time without measure. Unknown keys are kept: a newer netslim may have written them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import pydantic
from pydantic import BaseModel, ConfigDict, Field

from netslim.core.files import read_text

LARGEST_JSON = 64 * 2**20  # bytes of a JSON file
LARGEST_DEPTH = 2_000  # layers
LARGEST_COUNT = 10_000_000  # classes, channels
LARGEST_INPUT = 2**28  # numbers in one input

Scalar = bool | int | float | str | None
Count = Annotated[int, Field(ge=0)]
Side = Annotated[int, Field(ge=1, le=2**16)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
M = TypeVar("M", bound=BaseModel)


class FileModel(BaseModel):
    """Base: strict types, unknown keys kept."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)


class Architecture(FileModel):
    """How a network is built."""

    name: str
    arguments: dict[str, Scalar | list[Scalar] | dict[str, Scalar]] = Field(default_factory=dict)
    sha256: str | None = None

    @pydantic.field_validator("arguments")
    @classmethod
    def _bounded(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        for name, value in arguments.items():
            limit = LARGEST_DEPTH if name == "depth" else LARGEST_COUNT
            for number in value if isinstance(value, list) else [value]:
                if isinstance(number, int) and abs(number) > limit:
                    raise ValueError(f"{name} {number:,} is more than {limit:,}")
        return arguments


class DatasetFacts(FileModel):
    """What a network was trained on."""

    name: str | None = None
    class_names: list[str] | None = None
    mean: list[Finite] | None = None
    std: list[Annotated[float, Field(gt=0, allow_inf_nan=False)]] | None = None
    in_channels: Annotated[int, Field(ge=1, le=2**16)] | None = None
    image_size: Annotated[list[Side], Field(min_length=1, max_length=3)] | None = None  # of signals and volumes, too
    inputs: dict[str, Any] | None = None  # of a network that takes several
    resized: bool = False

    @pydantic.field_validator("inputs")
    @classmethod
    def _possible(cls, inputs: dict[str, Any] | None) -> dict[str, Any] | None:
        from netslim.core.networks.example import inputs_from_dict  # not before: torch takes seconds

        if inputs is None:
            return None
        try:
            shapes = [spec.shape for spec in inputs_from_dict(inputs).tensors]
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ValueError(f"no inputs of a network ({type(error).__name__} {error})") from error
        if not shapes or any(min(shape, default=0) < 1 or math.prod(shape) > LARGEST_INPUT for shape in shapes):
            raise ValueError(f"an input is empty, or larger than {LARGEST_INPUT:,} numbers")
        return inputs

    @pydantic.model_validator(mode="after")
    def _bounded(self) -> DatasetFacts:
        sides = self.image_size or []
        if math.prod(sides) * (self.in_channels or 1) > LARGEST_INPUT:
            raise ValueError(f"an image of {' x '.join(map(str, sides))} is larger than {LARGEST_INPUT:,} numbers")
        return self


class TaskFacts(FileModel):
    """What a network was trained and judged by, where that is not cross-entropy and top-1.

    Attributes:
        loss, metric: registered names, or references to code of the user's own.
        metric_mode: "max" or "min" where the user said so.
        best: the metric of the chosen epoch.
    """

    loss: str
    metric: str
    metric_mode: Literal["max", "min"] | None = None
    best: Finite = 0.0


USUAL_TASK = TaskFacts(loss="cross_entropy", metric="accuracy")


class OwnPart(FileModel):
    """What stands under `netslim` in a checkpoint."""

    format: int = 1
    arch: Architecture | None = None
    plan: dict[str, Any] | None = None
    dataset: DatasetFacts | None = None
    task: TaskFacts | None = None
    training: dict[str, Any] | None = None
    provenance: dict[str, Any] | None = None


class ParameterGroup(FileModel):
    """Settings of an optimizer."""

    lr: Finite


class OptimizerState(FileModel):
    """An optimizer's state in torch's format."""

    state: dict[Any, dict[str, Any]] = Field(default_factory=dict)
    param_groups: list[ParameterGroup] = Field(default_factory=list)


class TopLevel(FileModel):
    """The keys that the original scripts' files have, but for the tensors."""

    epoch: Count = 0
    best_prec1: Finite = 0.0
    cfg: list[int | Literal["M"]] | None = None
    optimizer: OptimizerState | None = None
    netslim: OwnPart | None = None


class Parent(FileModel):
    """A file that a run started from."""

    path: str
    sha256: str | None = None


class RunResult(FileModel):
    """What is shown of a run that was finished before, where it is there."""

    file: str = ""
    selected_on: str = ""
    chosen_by: str = ""
    best_top1: Finite = 0.0
    metric_name: str = ""
    best_metric: Finite = 0.0
    test_metric: Finite = 0.0
    shown: dict[Literal["label", "best", "test"], str] | None = None
    best_epoch: Count = 0
    test_top1: Finite = 0.0
    params: Count = 0
    channels: Count = 0
    kept: Count = 0
    rows: list[dict[str, Any]] = Field(default_factory=list)


class RunRecord(FileModel):
    """`run.json`."""

    run_id: str
    stage: str
    status: Literal["new", "running", "finished"]
    config: dict[str, Any]
    parents: dict[str, Parent]
    result: RunResult | None = None
    choices: dict[str, Any] | None = None


class MetricsRow(FileModel):
    """A line of `metrics.jsonl`."""

    epoch: Count | None = None
    seconds: Finite | None = None
    key: str | None = None


def explained(error: pydantic.ValidationError) -> str:
    """The first mistake in one line: where, and what is wrong."""
    item = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in item["loc"])
    message = str(item["msg"]).removeprefix("Value error, ")
    return f"{where or 'the whole'}: {message[:1].lower()}{message[1:]}"


def read_json(path: Path) -> Any:
    """The data in a JSON file.

    Raises:
        OSError: it can't be read, is no regular file, or is too large.
        ValueError: it is no JSON in UTF-8, or nested too deep.
    """
    return parse_json(read_text(path, LARGEST_JSON))


def parse_json(text: str | bytes) -> Any:
    """The data in a JSON text. Raises ValueError if it is none, or nested too deep."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def as_model(kind: type[M], data: Mapping[str, Any] | Any) -> M:
    """`data` as a typed model. Raises ValueError that says in one line what is wrong."""
    try:
        return kind.model_validate(data)
    except pydantic.ValidationError as error:
        raise ValueError(explained(error)) from error
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
