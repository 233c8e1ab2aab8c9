"""Prunings that `netslim sweep` and `netslim sensitivity` tried, as tables and drawings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from netslim.report.page.drawings.trials import LayerLoss, Series, draw_layers, draw_series
from netslim.report.page.measures import Measure
from netslim.report.page.run_folder import Run
from netslim.report.page.sections import NARROW, WIDE, Drawn
from netslim.report.tables import percent

MOST_LAYERS = 60  # drawn; the table has all of them
NAMES = (190.0, 120.0)  # width of their column, on a desk and on a phone
KINDS = {"": "right after pruning", "_recalibrated": "recalibrated", "_reconstructed": "reconstructed"}
Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Key:
    """What a line of a drawing is."""

    label: str
    kind: str


@dataclass(frozen=True, kw_only=True)
class TrialPage:
    """A run of trials as a section has it.

    Attributes:
        run: the run.
        about: a sentence on what was tried.
        drawn: the drawing; None before there is anything to draw.
        keys: of its lines.
        columns, cells: the table.
    """

    run: Run
    about: str
    drawn: Drawn | None
    keys: tuple[Key, ...]
    columns: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]


def trial_page(run: Run) -> TrialPage:
    """What a sweep or a sensitivity analysis found, as far as it came."""
    rows = run.trials
    name = "top1" if rows and "top1" in rows[0] else "metric"
    label = "top-1" if name == "top1" else str(run.config.get("metric") or "metric")
    measure = Measure(label=label, is_share=name == "top1", in_percent=name == "top1")
    make = _sweep if run.record.stage == "sweep" else _sensitivity
    judged = f", judged on {run.numbers.judged_on}" if run.numbers.judged_on else ""
    drawn, keys, columns, cells = make(rows, name, measure) if rows else (None, (), (), ())
    count = max(len(rows) - 1, 0)
    about = f"{count} pruned networks beside the unpruned one{judged}. Nothing was trained."
    return TrialPage(run=run, about=about, drawn=drawn, keys=keys, columns=columns, cells=cells)


Parts = tuple[Drawn | None, tuple[Key, ...], tuple[str, ...], tuple[tuple[str, ...], ...]]


def _sweep(rows: Rows, name: str, measure: Measure) -> Parts:
    dense, pruned = rows[0], rows[1:]
    criteria = list(dict.fromkeys(str(row.get("criterion", "")) for row in pruned))
    series = []
    for number, criterion in enumerate(criteria):
        for kind, words in KINDS.items():
            found = [row for row in pruned if row.get("criterion", "") == criterion and f"{name}{kind}" in row]
            points = sorted((row["macs"] / dense["macs"], row[f"{name}{kind}"]) for row in found)
            if points:
                colour = number if len(criteria) > 1 else list(KINDS).index(kind)
                said = f"{criterion}, {words}" if len(criteria) > 1 else words
                series.append(Series(label=said, points=(*points, (1.0, dense[name])), colour=colour, dashed=not kind))
    drawn = None
    if series:
        title = f"{measure.label} over the MACs that are left: {'; '.join(each.label for each in series)}"
        wide, narrow = (
            draw_series(series, dense[name], width=width, height=height, title=title, shown=measure.tick)
            for width, height in (WIDE, NARROW)
        )
        drawn = Drawn(wide, narrow)
    keys = tuple(Key(label=each.label, kind=each.kind) for each in series)
    return drawn, keys, *_sweep_table(rows, name, measure)


def _sweep_table(rows: Rows, name: str, measure: Measure) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    columns = ["budget", "criterion", "removed", "parameters", "MACs", "latency (ms)"]
    columns += [measure.label, "recalibrated", "reconstructed"]
    cells = []
    for row in rows:
        sizes = [f"{row[size]:,} ({percent(row[size] / rows[0][size], 0)})" for size in ("params", "macs")]
        latency = f"{row['latency_ms']:.2f}" if "latency_ms" in row else ""
        values = [row.get(f"{name}{kind}") for kind in KINDS]
        judged = ["" if value is None else measure.shown(value, 2) for value in values]
        gone = percent(row.get("percent", 0.0), 1)
        cells.append([str(row.get("budget", "")), str(row.get("criterion", "")), gone, *sizes, latency, *judged])
    return _without_empty(columns, cells)


def _sensitivity(rows: Rows, name: str, measure: Measure) -> Parts:
    dense, layers = rows[0], dict[str, list[Mapping[str, Any]]]()
    for row in rows[1:]:
        layers.setdefault(str(row["layer"]), []).append(row)
    order = sorted(layers, key=lambda layer: -max(row["drop"] for row in layers[layer]))
    losses = [
        LayerLoss(name=layer, losses=tuple((row["share"], row["drop"]) for row in layers[layer])) for layer in order
    ][:MOST_LAYERS]
    drawn = None
    if losses:
        title = f"{measure.label} lost by layer, the most sensitive first: {', '.join(order[:5])}"
        wide, narrow = (
            draw_layers(losses, width=width, names=names, title=title, shown=measure.tick)
            for (width, _), names in zip((WIDE, NARROW), NAMES, strict=True)
        )
        drawn = Drawn(wide, narrow)
    shares = sorted({row["share"] for row in rows[1:]})
    columns = ["layer", "channels", *(f"{measure.label} without {100 * share:g} %" for share in shares), "MACs freed"]
    cells = []
    for layer in order:
        own = {row["share"]: row for row in layers[layer]}
        values = [measure.shown(_judged(own[share], name), 2) if share in own else "" for share in shares]
        freed = percent(max(row["macs_freed"] for row in own.values()) / dense["macs"], 1)
        cells.append((layer, str(layers[layer][0]["channels"]), *values, freed))
    keys = _share_keys(shares)
    return drawn, keys, tuple(columns), tuple(cells)


def _judged(row: Mapping[str, Any], name: str) -> float:
    """The last one measured, which counts."""
    return next(float(row[f"{name}{kind}"]) for kind in reversed(KINDS) if f"{name}{kind}" in row)


def _share_keys(shares: Sequence[float]) -> tuple[Key, ...]:
    if not shares:
        return ()
    *smaller, largest = shares
    bar = Key(label=f"lost without {100 * largest:g} % of the layer's channels", kind="bar")
    others = " and ".join(f"{100 * share:g} %" for share in smaller)
    return (bar, Key(label=f"without {others}", kind="dots")) if smaller else (bar,)


def _without_empty(
    columns: Sequence[str], cells: Sequence[Sequence[str]]
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    used = [at for at in range(len(columns)) if any(cell[at] for cell in cells)]
    return tuple(columns[at] for at in used), tuple(tuple(cell[at] for at in used) for cell in cells)
