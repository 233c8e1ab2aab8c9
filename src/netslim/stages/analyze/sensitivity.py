"""`netslim sensitivity`: what each layer's channels are worth, found by removing some of one layer at a time."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

from netslim.core.errors import ArgumentError, UsageError, setting
from netslim.core.protocols import GroupPlan, PrunePlan
from netslim.core.runlog import RunDirectory, RunStatus
from netslim.core.runs.file_names import PAGE
from netslim.cost import measure
from netslim.pruning import apply, plan
from netslim.pruning.criteria import CRITERIA
from netslim.report.console import say
from netslim.report.csv_files import write_csv
from netslim.report.figures.sensitivity import draw_sensitivity
from netslim.report.page.beside import write_beside, write_missing
from netslim.report.tables import percent, print_table
from netslim.stages.analyze.config import SensitivityConfig
from netslim.stages.analyze.trial import Row, Series, Trial, check_split, drawn, numbers, open_trial, series
from netslim.training.tasks.task import Task

CSV, PNG = "sensitivity.csv", "sensitivity.png"


def run(config: SensitivityConfig) -> dict[str, Any]:
    """Prunes one layer of the network in `config.model` at a time, without training. Returns what `run.json` records.

    Raises:
        UsageError: shares or a criterion that make no sense, no data set, a busy or used folder.
        CheckpointError: the file, or a network for other images or classes.
        DataError: the data set.
        InterruptedRunError: Ctrl-C or SIGTERM; the rows measured so far are kept.
    """
    shares = sorted(numbers("shares", config.shares))
    if not all(0 < share < 1 for share in shares):
        raise ArgumentError("shares", config.shares, "every share is above 0 and below 1")
    CRITERIA.get(config.criterion)
    check_split(config.split)
    parents = {"model": config.model}
    with RunDirectory(config.save, "sensitivity", config, parents=parents, writes=(CSV, PNG)) as directory:
        if directory.status is RunStatus.FINISHED:
            say(f"{config.save / CSV} is finished ({len(directory.result['rows'])} rows); nothing to do")
            write_missing(config.save)
            return directory.result
        with series(directory) as measured:
            return _layers(config, shares, directory, measured)


def _layers(config: SensitivityConfig, shares: list[float], directory: RunDirectory, measured: Series) -> Row:
    trial = open_trial(config, measured.check_stop, config.images)
    whole = _plan(trial, 0.0)
    plans = {share: _plan(trial, share) for share in shares}
    directory.begin()
    layers = f"layers: {len(whole.groups)}, shares of each: {len(shares)}"
    say(f"{trial.task.label} on {trial.described}; {layers}, nothing is trained")
    dense = measured.row("unpruned", lambda: _unpruned(trial))
    rows = [dense]
    for index, group in enumerate(whole.groups):
        for share, decided in plans.items():
            alone = _alone(whole, decided, index)
            if alone.kept < whole.kept:
                measure_it = functools.partial(_row, trial, dense, share, whole.groups[index], alone)
                rows.append(measured.row(f"{group.name} {share:g}", measure_it))
    if len(rows) == 1:
        raise UsageError(
            f"{setting('shares', config.shares)} removes nothing: every layer keeps "
            f"`min_channels={config.min_channels}`"
        )
    return _finish(config, directory, trial, rows)


def _plan(trial: Trial, share: float) -> PrunePlan:
    """The same share of every layer; layers are then taken from it one at a time."""
    config = trial.config
    return plan(
        trial.model,
        trial.example(1),
        percent=share,
        per_layer=True,
        criterion=config.criterion,
        min_channels=config.min_channels,
        residual=config.residual,
        batches=trial.labelled(),
    )


def _alone(whole: PrunePlan, decided: PrunePlan, index: int) -> PrunePlan:
    """The plan that prunes one layer as `decided` does, and no other."""
    groups = (*whole.groups[:index], decided.groups[index], *whole.groups[index + 1 :])
    return dataclasses.replace(whole, groups=groups)


def _unpruned(trial: Trial) -> Row:
    judged, cost = trial.judged(trial.model), measure(trial.model, trial.example(1))
    return {"layer": "", "share": 0.0, "params": cost.params, "macs": cost.macs, **judged}


def _row(trial: Trial, dense: Row, share: float, group: GroupPlan, alone: PrunePlan) -> Row:
    small = apply(trial.model, alone)
    found, cost = trial.accuracies(small), measure(small, trial.example(1))
    kept = next(len(part.keep) for part in alone.groups if part.name == group.name)
    return {
        "layer": group.name,
        "share": share,
        "channels": len(group.keep),
        "removed": len(group.keep) - kept,
        "params": cost.params,
        "macs": cost.macs,
        **found,
        "drop": _drop(trial, dense, found),
        "macs_freed": dense["macs"] - cost.macs,
    }


def _drop(trial: Trial, dense: Row, found: Row) -> float:
    """How much worse the metric is."""
    drop = float(dense[trial.task.key()] - found[_counting(trial)])
    return drop if trial.task.higher_is_better else -drop


def _counting(trial: Trial) -> str:
    """The metric that counts: the last one measured."""
    repaired = "recalibrated" if trial.config.recalibrate else ""
    return trial.task.key("reconstructed" if trial.config.reconstruct else repaired)


def _finish(config: SensitivityConfig, directory: RunDirectory, trial: Trial, rows: list[Row]) -> Row:
    rows = [{**row, "judged_on": trial.described} for row in rows]
    write_csv(config.save / CSV, rows)
    task = trial.task
    title = f"{config.model.name}: {task.label} on {trial.described}"
    draw_sensitivity(rows, config.save / PNG, title=title, metric=drawn(task))
    unpruned = task.shown(rows[0][task.key()])
    say(f"unpruned: {task.label} {unpruned}, {rows[0]['macs']:,} MACs; the cheapest layers first:")
    print_table(*_table(rows, task, _counting(trial)))
    result = {"file": str(config.save / CSV), "judged_on": trial.described, "rows": rows}
    directory.finish(result)
    write_beside(config.save)
    say(f"wrote {config.save / CSV}, {config.save / PNG}, {config.save / PAGE}")
    return result


def _table(rows: list[Row], task: Task, key: str) -> tuple[list[str], list[list[str]]]:
    """A line per layer, sorted by points of the metric lost per percent of the MACs freed, over all shares."""
    dense = rows[0]
    layers: dict[str, list[Row]] = {}
    for row in rows[1:]:
        layers.setdefault(row["layer"], []).append(row)
    shares = list(dict.fromkeys(row["share"] for row in rows[1:]))
    price = {layer: _price(own, dense) for layer, own in layers.items()}
    columns = [
        "layer",
        "channels",
        *(f"{task.label} at -{100 * share:g} %" for share in shares),
        "MACs freed",
        "points per % MACs",
    ]
    cells = []
    for layer in sorted(layers, key=lambda layer: price[layer]):
        own = {row["share"]: row for row in layers[layer]}
        accuracies = [task.shown(own[share][key]) if share in own else "" for share in shares]
        freed = percent(max(row["macs_freed"] for row in own.values()) / dense["macs"])
        channels = str(next(iter(own.values()))["channels"])
        cells.append([layer, channels, *accuracies, freed, f"{price[layer]:.3f}"])
    return columns, cells


def _price(own: list[Row], dense: Row) -> float:
    """Points of the metric per percent of the MACs."""
    freed = sum(row["macs_freed"] for row in own) / dense["macs"]
    return sum(row["drop"] for row in own) / freed if freed else math.inf
