"""`netslim sweep`: accuracy right after pruning, parameters, MACs and latency over a range of budgets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

from netslim.core.errors import UsageError
from netslim.core.runlog import RunDirectory, RunStatus
from netslim.core.runs.file_names import PAGE
from netslim.cost import measure
from netslim.pruning import apply, plan
from netslim.pruning.budget.request import requested
from netslim.pruning.criteria import CRITERIA
from netslim.report.console import console, say
from netslim.report.csv_files import write_csv
from netslim.report.figures.sweep import draw_sweep
from netslim.report.page.beside import write_beside, write_missing
from netslim.report.tables import percent, print_table
from netslim.stages.analyze.config import SweepConfig
from netslim.stages.analyze.timing import latencies
from netslim.stages.analyze.trial import Row, Series, Trial, check_split, drawn, numbers, open_trial, series
from netslim.stages.shared.lists import listed
from netslim.training.tasks.task import Task

CSV, PNG = "sweep.csv", "sweep.png"
PERCENTS = "0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One pruning to try: `limit` is what `plan` is given."""

    criterion: str
    text: str
    limit: dict[str, Any]


def run(config: SweepConfig) -> dict[str, Any]:
    """Prunes the network in `config.model` at every budget, without training. Returns what `run.json` records.

    Raises:
        UsageError: budgets or a criterion that make no sense, no data set, a busy or used folder.
        CheckpointError: the file, or a network for other images or classes.
        DataError: the data set.
        InterruptedRunError: Ctrl-C or SIGTERM; the rows measured so far are kept.
    """
    budgets = list(_budgets(config))
    check_split(config.split)
    parents = {"model": config.model}
    with RunDirectory(config.save, "sweep", config, parents=parents, writes=(CSV, PNG)) as directory:
        if directory.status is RunStatus.FINISHED:
            say(f"{config.save / CSV} is finished ({len(directory.result['rows'])} rows); nothing to do")
            write_missing(config.save)
            return directory.result
        with series(directory) as measured:
            return _sweep(config, budgets, directory, measured)


def _budgets(config: SweepConfig) -> Iterator[Candidate]:
    if config.percents is not None and config.target_macs is not None:
        raise UsageError("`percents` and `target_macs` can't go together: type one of them")
    for criterion in listed(config.criterion):
        CRITERIA.get(criterion)
        if config.target_macs is not None:
            for text in listed(config.target_macs):
                requested(None, {"macs": text})
                yield Candidate(criterion=criterion, text=text, limit={"target_macs": text})
            continue
        for share in numbers("percents", config.percents or PERCENTS):
            requested(share, {})
            yield Candidate(criterion=criterion, text=f"{share:g}", limit={"percent": share})


def _sweep(config: SweepConfig, budgets: list[Candidate], directory: RunDirectory, measured: Series) -> dict[str, Any]:
    trial = open_trial(config, measured.check_stop)
    directory.begin()
    say(f"{trial.task.label} on {trial.described}; budgets: {len(budgets)}, nothing is trained")
    with console().status("the unpruned network") as status:
        networks: dict[str, nn.Module] = {"unpruned": trial.model}
        rows = {"unpruned": measured.row("unpruned", lambda: _unpruned(trial))}
        for number, budget in enumerate(budgets, start=1):
            key = f"{budget.criterion} {budget.text}"
            status.update(f"{number} of {len(budgets)}: {key}")
            try:
                small, facts = _prune(trial, budget)
            except UsageError as error:
                say(f"{key}: {error}")
                continue
            networks[key] = small
            rows[key] = measured.row(key, lambda small=small, facts=facts: {**facts, **trial.accuracies(small)})  # type: ignore[misc]
        if len(rows) == 1:
            raise UsageError("none of the budgets could be met; see above")
        if config.latency_batch:
            images = trial.example(config.latency_batch)
            for key, found in latencies(networks, images, measured.check_stop, status.update).items():
                rows[key] |= found
    return _finish(config, directory, trial, list(rows.values()))


def _unpruned(trial: Trial) -> Row:
    """The network as it is, in the columns of the others. Its statistics are those that its training left."""
    cost = measure(trial.model, trial.example(1))
    return {
        "criterion": "",
        "budget": "unpruned",
        "percent": 0.0,
        "params": cost.params,
        "macs": cost.macs,
        **trial.judged(trial.model),
    }


def _prune(trial: Trial, budget: Candidate) -> tuple[nn.Module, Row]:
    """The pruned network, and what is known of it before it runs."""
    config = trial.config
    decided = plan(
        trial.model,
        trial.example(1),
        **budget.limit,
        criterion=budget.criterion,
        min_channels=config.min_channels,
        residual=config.residual,
        batches=trial.labelled(),
    )
    return apply(trial.model, decided), {
        "criterion": budget.criterion,
        "budget": budget.text,
        "percent": 1 - decided.kept / decided.total,
        "channels": decided.total,
        "kept": decided.kept,
        "params": decided.after.params,
        "macs": decided.after.macs,
    }


def _finish(config: SweepConfig, directory: RunDirectory, trial: Trial, rows: list[Row]) -> dict[str, Any]:
    rows = [{**row, "judged_on": trial.described} for row in rows]
    write_csv(config.save / CSV, rows)
    engine = str(rows[0].get("timed_as", "")).split()[0] if config.latency_batch else ""
    where = f"batch {config.latency_batch}, {engine.rstrip(',')}, {trial.device.type}" if engine else None
    title = f"{config.model.name}: {trial.task.label} on {trial.described}"
    draw_sweep(rows, config.save / PNG, title=title, latency=where, metric=drawn(trial.task))
    print_table(*_table(rows, trial.task))
    result = {"file": str(config.save / CSV), "judged_on": trial.described, "rows": rows}
    directory.finish(result)
    write_beside(config.save)
    say(f"wrote {config.save / CSV}, {config.save / PNG}, {config.save / PAGE}")
    return result


def _table(rows: list[Row], task: Task) -> tuple[list[str], list[list[str]]]:
    """Columns and cells; every size also as a share of the unpruned network's."""
    first = rows[0]
    columns = ["criterion", "budget", "channels removed", "parameters", "MACs", "latency (ms)", task.label]
    columns += ["recalibrated", "reconstructed"]
    cells = []
    for row in rows:
        sizes = [f"{row[name]:,} ({percent(row[name] / first[name], 1)})" for name in ("params", "macs")]
        cells.append([row["criterion"], row["budget"], percent(row["percent"], 1), *sizes, *_measured(row, task)])
    used = [index for index in range(len(columns)) if any(cell[index] for cell in cells)]
    return [columns[index] for index in used], [[cell[index] for index in used] for cell in cells]


def _measured(row: Row, task: Task) -> list[str]:
    latency = f"{row['latency_ms']:.2f}" if "latency_ms" in row else ""
    found = [row.get(task.key(which)) for which in ("", "recalibrated", "reconstructed")]
    return [latency, *("" if value is None else task.shown(value) for value in found)]
