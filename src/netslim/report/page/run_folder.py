"""What a run folder holds, as typed values: half-finished runs, old ones and damaged parts included."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netslim.core.errors import NetslimError
from netslim.core.runlog import read_metrics
from netslim.core.runs.file_names import METRICS, PLAN, RECORD
from netslim.core.schemas import Architecture, Count, FileModel, Finite, M, Parent, RunRecord, as_model, read_json
from netslim.report.page.plan_file import PlanFile

_TITLES = {"prune": "Pruning", "sweep": "Sweep over budgets", "sensitivity": "Sensitivity of the layers"}
CHAINED = ("resume", "refine", "model")  # settings that name the file which a run goes on from


class Shown(FileModel):
    """A metric as its own task shows it."""

    label: str
    test: str


class Numbers(FileModel):
    """What a run came to, where `run.json` says it."""

    file: str = ""
    selected_on: str = ""
    chosen_by: str = ""
    best_top1: Finite | None = None
    best_metric: Finite | None = None
    best_epoch: Count | None = None
    test_top1: Finite | None = None
    test_metric: Finite | None = None
    test_images: Count | None = None
    metric_name: str = "top-1"
    top1: Finite | None = None
    top1_before: Finite | None = None
    top1_masked: Finite | None = None
    metric: Finite | None = None
    metric_before: Finite | None = None
    metric_masked: Finite | None = None
    params: Count | None = None
    macs: Count | None = None
    params_before: Count | None = None
    macs_before: Count | None = None
    max_difference: Finite | None = None
    arch: Architecture | None = None
    seconds: Finite | None = None
    epochs: Count | None = None
    rows: list[dict[str, Any]] | None = None
    judged_on: str = ""
    shown: Shown | None = None
    streams: dict[str, list[str]] = {}  # noqa: RUF012  (pydantic copies it)


class EpochRow(FileModel):
    """A row of `metrics.jsonl` of a training."""

    epoch: Count
    lr: Finite | None = None
    loss: Finite | None = None
    train_top1: Finite | None = None
    top1: Finite | None = None
    metric: Finite | None = None
    near_zero_scales: Finite | None = None
    scale_histogram: list[Count] | None = None
    scales_parted: bool = False


class Record(RunRecord):
    """`run.json`, with what older versions did not write."""

    started: str = ""
    settings: dict[str, Any] | None = None
    versions: dict[str, str] = {}  # noqa: RUF012  (pydantic copies it)
    commit: str = "unknown"
    warnings: list[str] | None = None


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run folder.

    Attributes:
        folder: where it is.
        record: its `run.json`.
        numbers: the result in it; empty before the run is finished.
        rows: finished epochs, in order.
        trials: networks that a sweep or a sensitivity analysis tried, the unpruned one first.
        plan: what a pruning removed.
        problems: what could not be read, one line each.
    """

    folder: Path
    record: Record
    numbers: Numbers
    rows: tuple[EpochRow, ...] = ()
    trials: tuple[Mapping[str, Any], ...] = ()
    plan: PlanFile | None = None
    problems: tuple[str, ...] = ()

    @property
    def finished(self) -> bool:
        """Whether it came to its end."""
        return self.record.status == "finished"

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.resolve().name or str(self.folder)

    @property
    def config(self) -> Mapping[str, Any]:
        """All its settings."""
        return self.record.config

    @property
    def shown_config(self) -> Mapping[str, Any]:
        """The same for people: of a network that came from a file, what it is, and not what one would be by default."""
        if self.origin is None or "arch" not in self.config or self.record.stage != "train":
            return self.config
        arch = self.numbers.arch or Architecture(name=f"that of {self.origin.path}")
        found = {name: value for name, value in arch.arguments.items() if name in ("depth", "stem")}
        return {**self.config, **found, "arch": arch.name}

    @property
    def origin(self) -> Parent | None:
        """The file that it went on from."""
        return next((self.record.parents[name] for name in CHAINED if name in self.record.parents), None)

    @property
    def penalised(self) -> bool:
        """Whether a penalty on the scales was on."""
        return bool(self.config.get("sparsity_regularization"))

    @property
    def title(self) -> str:
        """What was done, in a few words for people."""
        if self.record.stage != "train":
            return _TITLES.get(self.record.stage, self.record.stage)
        if self.config.get("refine"):
            return "Fine-tuning of the small network"
        if self.penalised:
            return "Training with the penalty"
        return "Training" if self.origin is None else "Fine-tuning"


def is_run(folder: Path) -> bool:
    """Whether a folder holds a run."""
    return (folder / RECORD).is_file()


def read_run(folder: Path) -> Run:
    """The run in a folder.

    Raises:
        NetslimError: `run.json` is not there or damaged. What else is damaged stands in `problems`.
    """
    path = folder / RECORD
    problems: list[str] = []
    try:
        data = read_json(path)
        as_model(RunRecord, data)
    except (OSError, ValueError) as error:
        raise NetslimError(f"{path} can't be read ({error}): name the folder of a run") from error
    needed = {name: data[name] for name in RunRecord.model_fields if name in data and name not in ("result", "choices")}
    record = _model(Record, data, needed, problems)
    numbers = _model(Numbers, data.get("result") or {}, {}, problems)
    return Run(
        folder=folder,
        record=record,
        numbers=numbers,
        rows=_rows(folder / METRICS, problems),
        trials=_trials(folder / METRICS, numbers),
        plan=_plan(folder / PLAN, numbers.streams, problems),
        problems=tuple(problems),
    )


def _model(kind: type[M], data: Any, needed: dict[str, Any], problems: list[str]) -> M:
    """A part of `run.json`; if it is damaged there is a problem, and what is needed of it stays."""
    try:
        return as_model(kind, data)
    except ValueError as error:
        problems.append(f"{RECORD} is damaged: {error}")
        return as_model(kind, needed)


def _rows(path: Path, problems: list[str]) -> tuple[EpochRow, ...]:
    try:
        return tuple(as_model(EpochRow, row) for row in read_metrics(path) if "epoch" in row)
    except (NetslimError, ValueError) as error:
        problems.append(f"{path.name} is damaged: {error}".split("; give another")[0])
        return ()


def _trials(path: Path, found: Numbers) -> tuple[Mapping[str, Any], ...]:
    """Rows of a finished run as it recorded them, else those that it has measured so far."""
    if found.rows is not None:
        return tuple(found.rows)
    try:
        return tuple(row for row in read_metrics(path) if "key" in row)
    except (NetslimError, ValueError):
        return ()


def _plan(path: Path, streams: Mapping[str, list[str]], problems: list[str]) -> PlanFile | None:
    if not path.exists():
        return None
    try:
        return as_model(PlanFile, read_json(path)).model_copy(update={"streams": streams})
    except (OSError, ValueError) as error:
        problems.append(f"{path.name} is damaged: {error}")
        return None
