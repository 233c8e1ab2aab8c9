"""The card of a network at the hub: what it is, how good, how it was made, and what is not known."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from netslim.core.checkpoint import Checkpoint
from netslim.core.protocols import plan_of
from netslim.core.runs.file_names import RECORD
from netslim.core.schemas import read_json
from netslim.cost import measure
from netslim.models.own import arch_of
from netslim.report.tables import percent
from netslim.stages.shared.datasets import dataset_name
from netslim.stages.shared.example_input import example_input, sides
from netslim.stages.shared.networks import arguments_of, name_of

if TYPE_CHECKING:
    from huggingface_hub import EvalResult


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What a run says of the network that it wrote.

    Attributes:
        value: top-1 on the test images, a fraction.
        images: how many those are; None where the run did not record it.
        on_test: whether they chose the network, so that the figure is too good.
    """

    value: float
    images: int | None
    on_test: bool

    def __str__(self) -> str:
        count = f" of {self.images:,} test images" if self.images else " of the test images"
        chosen = ", which also chose the network: too good a figure" if self.on_test else ""
        return f"{percent(self.value)}{count}{chosen}"


def judged_in(path: Path) -> Judged | None:
    """What `run.json` beside a checkpoint says of it; None without one, or of another file, or of another metric."""
    record = path.with_name(RECORD)
    found = (read_json(record).get("result") or {}) if record.exists() else {}
    value = found.get("test_top1", found.get("top1"))  # of a training, of a pruning
    if Path(found.get("file", "")).name != path.name or value is None:
        return None
    return Judged(value=value, images=found.get("test_images"), on_test=found.get("selected_on") == "test")


def card_of(model: nn.Module, checkpoint: Checkpoint, path: Path, repository: str, license: str | None) -> str:
    """The text of `README.md`, with the hub's own data on top."""
    judged, data = judged_in(path), dataset_name(checkpoint)
    parts = [
        _front_matter(repository, data, judged, license),
        f"# {repository.partition('/')[2]}",
        _sentence(model, data),
        _table(_numbers(model, checkpoint, judged)),
        f"```python\n{_use(model, repository)}\n```",
        "## How it was made",
        _made(checkpoint),
        "## Limits",
        _limits(data, judged, license),
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(repository: str, data: str | None, judged: Judged | None, license: str | None) -> str:
    from huggingface_hub import ModelCardData

    results = [_result(data, judged)] if data and judged else None
    known = ModelCardData(
        license=license,
        library_name="netslim",
        tags=["netslim", "network-slimming", "pruning"],
        datasets=[data] if data else None,
        pipeline_tag="image-classification" if judged else None,
        model_name=repository.partition("/")[2],
        eval_results=results,
    )
    return f"---\n{known.to_yaml()}\n---"


def _result(data: str, judged: Judged) -> EvalResult:
    from huggingface_hub import EvalResult

    return EvalResult(
        task_type="image-classification",
        dataset_type=data,
        dataset_name=data,
        metric_type="accuracy",
        metric_value=judged.value,
    )


def _sentence(model: nn.Module, data: str | None) -> str:
    pruned = "A pruned" if plan_of(model) else "An unpruned"
    return f"{pruned} `{name_of(model)}`{f' for the data set {data}' if data else ''}, made by netslim."


def _numbers(model: nn.Module, checkpoint: Checkpoint, judged: Judged | None) -> dict[str, object]:
    example = example_input(model, checkpoint.dataset)
    cost, plan = measure(model, example), plan_of(model)
    arguments = ", ".join(f"{name}={value}" for name, value in arguments_of(model).items())
    found: dict[str, object] = {"architecture": f"`{name_of(model)}({arguments})`"}
    found["input"] = sides(example, " x ")
    found["parameters"] = f"{cost.params:,}{f' of {plan.before.params:,}' if plan else ''}"
    found["multiply-adds"] = f"{cost.macs:,}{f' of {plan.before.macs:,}' if plan else ''}"
    if plan:
        found["channels"] = f"{plan.kept:,} of {plan.total:,}"
    found["top-1"] = judged or "not recorded beside the file"
    return found


def _table(rows: dict[str, object]) -> str:
    return "\n".join(["| | |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows.items())])


def _use(model: nn.Module, repository: str) -> str:
    own = "" if arch_of(model) else f", model={type(model).__name__}()"
    return f'import netslim\n\nmodel = netslim.load("hf://{repository}"{own})  # in evaluation mode, on the CPU'


def _made(checkpoint: Checkpoint) -> str:
    """The last step's settings, as the file has them, without the folders of the machine that it ran on."""
    provenance = checkpoint.provenance
    if not provenance:
        return "The file does not say."
    settings = {name: value for name, value in provenance.get("config", {}).items() if not _is_place(name, value)}
    parents = [f"`{name}`: SHA-256 `{parent.get('sha256', 'unknown')}`" for name, parent in _parents(provenance)]
    versions = ", ".join(f"{name} {number}" for name, number in provenance.get("versions", {}).items())
    lines = [f"Last step: `netslim {provenance.get('stage')}`, commit `{provenance.get('commit')}`, {versions}."]
    if parents:
        lines.append(f"It started from {'; '.join(parents)}.")
    return "\n\n".join([*lines, f"```json\n{json.dumps(settings, indent=1)}\n```"])


def _parents(provenance: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return sorted((provenance.get("parents") or {}).items())


def _is_place(name: str, value: object) -> bool:
    return value is None or name in ("save", "data_dir", "track") or (isinstance(value, str) and "/" in value)


def _limits(data: str | None, judged: Judged | None, license: str | None) -> str:
    lines = [
        f"- Its accuracy is known on {data or 'its data'} alone."
        if judged
        else "- No accuracy is recorded beside the file: measure it before it is used.",
        "- Nothing is known of what it does on other images, or of groups of people in them.",
        f"- Licence of the weights: {license or 'not stated'}. Those of the source network and of the data hold, too.",
    ]
    return "\n".join(lines)
