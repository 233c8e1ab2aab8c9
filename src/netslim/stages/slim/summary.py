"""What a run came to: dense and small network side by side, every step, and the means of several."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from netslim.core.files import file_hash
from netslim.report.console import say
from netslim.report.tables import percent, print_table, size
from netslim.stages.evaluate.config import EvaluateConfig
from netslim.stages.evaluate.run import run as evaluate
from netslim.stages.shared.config import TaskConfig
from netslim.stages.slim.run_folder import NETWORK
from netslim.stages.slim.settings import Planned
from netslim.stages.slim.variants import Variant

Row = dict[str, Any]


def dense_and_small(steps: Sequence[Planned]) -> tuple[Planned | Path | None, Planned | None]:
    """What was pruned first (a step, or a file from elsewhere), and the last step that leaves a network."""
    small = next((each for each in reversed(steps) if each.network is not None), None)
    pruned = next((each for each in steps if each.step.verb == "prune"), None)
    if pruned is None:
        return None, small
    start = pruned.step.starts[0]
    return next((each for each in steps if each.step.name == start), Path(start)), small


def measured(
    file: Path, steps: Sequence[Planned], known: Mapping[str, Row], found: Mapping[str, Any] | None = None
) -> Row:
    """Accuracy on the test images, parameters and MACs of a network file, unless they are known already.

    Args:
        file: the network.
        steps: of the recipe, which say what it is judged by.
        known: what was measured before, by the file's hash.
        found: by the step that wrote it.
    """
    sha256 = file_hash(file)
    if sha256 in known:
        return {**known[sha256], "file": str(file)}
    top1, images = (found or {}).get("test_top1", (found or {}).get("top1")), (found or {}).get("test_images")
    if found and top1 is not None and images:
        sizes = {name: found[name] for name in ("params", "macs")}
        return {"top1": top1, "images": images, **sizes, "file": str(file), "sha256": sha256}
    config = EvaluateConfig.build({**task_of_steps(steps), "model": file})
    return {**evaluate(config), "file": str(file), "sha256": sha256}


def task_of_steps(steps: Sequence[Planned]) -> dict[str, Any]:
    """The network's code, data set, loss and metric of the recipe's steps, as far as they are said.

    They are settings of every verb that judges networks, such as `netslim evaluate` and `netslim report`.
    """
    found: dict[str, Any] = {}
    for each in steps:
        fields = type(each.config).model_fields
        for name in TaskConfig.model_fields:
            value = getattr(each.config, name, None)
            if name in fields and value != fields[name].default and name in EvaluateConfig.model_fields:
                found.setdefault(name, value)
    train = next((each.config for each in steps if each.step.verb == "train"), None)
    if train is not None:
        found.setdefault("dataset", getattr(train, "dataset", None))
    return found


def row_of(variant: Variant, dense: Row | None, small: Row) -> Row:
    """A line of `slim.csv`."""
    found: Row = dict(variant.values)
    for name, facts in (("dense", dense), ("small", small)):
        if facts is not None:
            value = facts.get("top1", facts.get("metric"))
            found |= {f"{name}_top1" if "top1" in facts else f"{name}_metric": value}
            found |= {f"{name}_{key}": facts[key] for key in ("images", "params", "macs", "file")}
    return found


def show_steps(
    variant: Variant, results: Mapping[str, Mapping[str, Any]], dense: Row | None, small: Row | None
) -> None:
    """A line per step: what its network is, and what it took; and what the small one is of the dense one."""
    rows = [_line(each, results.get(each.step.name, {})) for each in variant.steps]
    if dense is not None and dense["file"] not in [row[-1] for row in rows]:
        sizes = [f"{dense[key]:,}" for key in ("params", "macs")]
        rows.insert(0, ["start", "", judged(dense), *sizes, "", dense["file"]])
    if dense is not None and small is not None:
        shares = [percent(small[key] / dense[key], 1) for key in ("params", "macs")]
        rows.append(["small / dense", "", _difference(dense, small), *shares, "", str(variant.folder / NETWORK)])
    test = f"test ({small['images']:,})" if small is not None else "test"
    print_table(["step", "verb", test, "parameters", "MACs", "seconds", "file"], rows)
    before, after = _epochs(variant.steps)
    if dense is not None and 0 < before < after:
        say(
            f"the dense network was trained for {before} of these {before + after} epochs: what all of them would have "
            "made of it was not measured"
        )


def _epochs(steps: Sequence[Planned]) -> tuple[int, int]:
    """Epochs of training before the first pruning of a network from scratch, and after it; 0 before any other."""
    verbs = [each.step.verb for each in steps]
    first = verbs.index("prune") if "prune" in verbs else len(verbs)
    before, after = (
        sum(getattr(each.config, "epochs", 0) for each in part if each.step.verb == "train")
        for part in (steps[:first], steps[first:])
    )
    from_scratch = first > 0 and verbs[0] == "train" and not steps[0].step.starts
    return (before if from_scratch else 0), after


def _line(planned: Planned, result: Mapping[str, Any]) -> list[object]:
    top1 = result.get("test_top1", result.get("top1"))
    shown = percent(top1) if top1 is not None else _shown(result)
    sizes = [f"{result[name]:,}" if name in result else "" for name in ("params", "macs")]
    seconds = f"{result['seconds']:.0f}" if "seconds" in result else ""
    file = planned.network or result.get("file", "")
    return [planned.step.name, planned.step.verb, shown, *sizes, seconds, str(file)]


def judged(facts: Row) -> str:
    """`97.22 %`, or a metric's value."""
    if "top1" in facts:
        return percent(facts["top1"])
    return _shown(facts) or facts["metric_name"] + format(facts["metric"], " .4g")


def _shown(facts: Mapping[str, Any]) -> str:
    """`MAE 0.145`: a metric as its own task shows it; nothing where it was not measured."""
    shown = facts.get("shown")
    return f"{shown['label']} {shown['test']}" if shown else ""


def _difference(dense: Row, small: Row) -> str:
    if "metric" in dense and "metric" in small:
        return f"{small['metric'] - dense['metric']:+.4g}"
    if "top1" not in dense or "top1" not in small:
        return ""
    return f"{100 * (small['top1'] - dense['top1']):+.2f} points"


def means(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Columns and cells of a table with one line per swept value: mean and standard deviation over the seeds."""
    facts = ("top1", "metric", "images", "params", "macs", "file")
    swept = [name for name in rows[0] if name != "seed" and name not in _columns(facts)]
    shown = [f"{name}_{fact}" for fact in ("top1", "metric", "params", "macs") for name in ("dense", "small")]
    shown = [name for name in shown if any(name in row for row in rows)]
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in swept), []).append(row)
    cells = [
        [*map(str, values), str(len(group)), *(_spread(name, [row[name] for row in group]) for name in shown)]
        for values, group in groups.items()
    ]
    return [*swept, "seeds" if "seed" in rows[0] else "runs", *map(_titled, shown)], cells


def each(rows: Sequence[Row]) -> dict[str, Any]:
    """Columns and cells of a table with one line per variant."""
    names = [name for name in rows[0] if not name.endswith(("_file", "_images"))]
    cells = [[_cell(name, row.get(name)) for name in names] for row in rows]
    return {"columns": list(map(_titled, names)), "rows": cells}


def _cell(name: str, value: Any) -> str:
    if name.endswith("_top1") and value is not None:
        return f"{100 * value:.2f}"
    return f"{value:,}" if name.endswith(("_params", "_macs")) and value is not None else str(value)


def _titled(name: str) -> str:
    return name.replace("_", " ").replace("top1", "test top-1 (%)").replace("macs", "MACs")


def _columns(facts: Sequence[str]) -> set[str]:
    return {f"{name}_{fact}" for name in ("dense", "small") for fact in facts}


def _spread(name: str, values: Sequence[float]) -> str:
    """Mean and standard deviation, which a single value does not have."""
    mean, spread = statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None
    if name.endswith(("top1", "metric")):
        scale, digits = (100.0, 2) if name.endswith("top1") else (1.0, 4)
        return " ± ".join(f"{scale * value:.{digits}f}" for value in (mean, spread) if value is not None)
    return f"{size(mean)} ± {size(spread)}" if spread else size(mean)
