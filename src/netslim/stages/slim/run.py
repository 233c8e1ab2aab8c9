"""`netslim slim`: the steps of a recipe one after the other, each done once, whatever happens in between."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from netslim.core.errors import CheckpointError, InterruptedRunError
from netslim.core.files import atomic_write, file_hash
from netslim.core.processes.signals import Stopped
from netslim.core.runs.file_names import PAGE
from netslim.models.registry import LIBRARIES
from netslim.report.console import say
from netslim.report.csv_files import write_csv
from netslim.report.page.beside import write_beside
from netslim.report.page.run_folder import is_run
from netslim.report.tables import print_table
from netslim.stages.slim import summary
from netslim.stages.slim.commands import commands, show_commands
from netslim.stages.slim.config import SlimConfig
from netslim.stages.slim.durations import seconds_of, shown
from netslim.stages.slim.jobs import FOLDER, run_jobs
from netslim.stages.slim.pace import Pace, Shape, epochs_within, expected, is_there, measure_pace, probe_of, pruning_of
from netslim.stages.slim.pages import make_pages
from netslim.stages.slim.planning import (
    CHOSEN,
    SHAPES,
    asked_recipe,
    budgets_of_plan,
    changed,
    is_trained,
    planned_recipe,
)
from netslim.stages.slim.recipe import SHARED, Recipe, recipe_of, to_toml
from netslim.stages.slim.run_folder import NETWORK, RECIPE, RECORD, TABLE, SlimFolder
from netslim.stages.slim.settings import Planned, check
from netslim.stages.slim.slurm.executor import Slurm, Work, result_of
from netslim.stages.slim.step_folder import is_done, run_step
from netslim.stages.slim.variants import Axis, Variant, axes_of, variants_of
from netslim.stages.train.config import TrainConfig
from netslim.stages.transfer.config import TransferConfig


def run(config: SlimConfig) -> dict[str, Any]:
    """Runs a recipe into `config.save`, or goes on where it was cut off. Returns what `slim.json` records.

    Raises:
        UsageError: the recipe, a step's settings, a time that is too short, or a busy folder.
        CheckpointError: a file that a step starts from.
        DataError: the data set.
        InterruptedRunError: Ctrl-C or SIGTERM in a training; the same command goes on.
    """
    recipe = asked_recipe(config, config.recipe)
    if config.time is not None:
        seconds_of(config.time)
    if config.seeds is not None:
        config.refuse(("seed",), "`seeds` says all of them: leave one of the two out")
    axes = axes_of(recipe, config.seeds, config.sweep, [*config.steps, *budgets_of_plan(config)])
    variants = variants_of(recipe, axes, config.save)
    check_all(variants)
    slurm = Slurm(config.save / FOLDER, config.slurm) if config.slurm else None
    with SlimFolder(config.save, look=config.dry_run) as folder:
        if not config.dry_run:
            _fetch_sources(variants[0])
        recipe, pace = _timed(config, recipe, axes, folder, slurm)
        variants = variants_of(recipe, axes, config.save)
        _say_plan(variants, pace)
        if config.dry_run:
            return {"recipe": recipe.to_dict(), "dry_run": True}
        known, pages = _known(folder), folder.record.pages
        facts = {**_facts(recipe, pace), "settings": config.typed(), "folders": _folders(config.save, variants)}
        folder.begin(_asked(config), facts, to_toml(recipe, _comment(config)), config.recipe)
        with _going_on(config.save, variants):
            if slurm is not None:
                run_jobs(variants, slurm, config.save)
            rows = [_run_variant(variant, known) for variant in variants]
        result = _finish(config, axes, variants, rows)
        folder.finish(result)
        folder.note_pages(make_pages(config.save, variants, pages))
        _say_end(config.save, variants)
        return result


def _fetch_sources(variant: Variant) -> None:
    """Pretrained weights before anything is timed or trained: where they can't be had, that is said at once.

    Raises:
        CheckpointError: they can't be had.
    """
    for each in variant.steps:
        config = each.config
        if not isinstance(config, TransferConfig) or is_done(each):
            continue
        if config.pretrained and config.weights is None:
            try:
                LIBRARIES.get(config.source).fetch(config.model_name)
            except CheckpointError as error:
                name, text = each.step.name, str(error)
                for setting, value in (("weights", "FILE"), ("pretrained", "False")):
                    text = text.replace(f"`{setting}={value}`", f"--set {name}.{setting}={value}")
                raise CheckpointError(f"step '{name}': {text}") from error


def check_all(variants: list[Variant]) -> None:
    """Raises UsageError for what is wrong with the settings of any step, before anything is done."""
    for variant in variants:
        check(variant.steps)


def _timed(
    config: SlimConfig, recipe: Recipe, axes: list[Axis], folder: SlimFolder, slurm: Slurm | None
) -> tuple[Recipe, Pace | None]:
    """The recipe with epochs for the time there is, and the pace that it was planned by.

    The same command again has the same recipe: it was recorded before the first step, and nothing is measured.
    """
    record = folder.record
    if record.recipe and record.asked == _asked(config):
        return recipe_of(record.recipe), Pace(**record.pace) if record.pace else None
    probe = probe_of(recipe)
    if config.dry_run and probe and not is_there(probe):
        say(f"the images of {probe.dataset} are not here: nothing was timed; without `dry_run` they are downloaded")
        return recipe, None
    if config.dry_run and slurm is not None:
        say("nothing was timed: without `dry_run` a job does it first")
        return recipe, None
    pace = _pace(recipe, probe, _shapes(config, recipe), folder, slurm) if probe else None
    if pace is None or config.recipe is not None:
        return recipe, pace
    count = 1 if slurm is not None else math.prod(len(axis.values) for axis in axes)
    known: dict[str, Any] = {"shape": pace.shape, "precision": pace.precision, "has_scales": pace.has_scales}
    usual = changed(planned_recipe(config, None, pace.train, **known), config)
    known["sensed"] = pace.can_sense(pace.of_all(usual) if config.time is None else seconds_of(config.time) / count)
    usual = changed(planned_recipe(config, None, pace.train, **known), config)
    epochs = None if config.time is None else epochs_within(config.time, pace, usual, share=1 / count)
    return changed(planned_recipe(config, epochs, pace.train, **known), config), pace


def _shapes(config: SlimConfig, recipe: Recipe) -> Sequence[Shape]:
    """Those that a plan may choose from: where nobody said anything of the widths, nor how many channels go."""
    settings = pruning_of(recipe)
    said = config.recipe is not None or {"round_to", "residual"} & {*settings}
    return () if said or not {"target_macs", "target_params"} & {*settings} else SHAPES[is_trained(config)]


def _pace(recipe: Recipe, probe: TrainConfig, shapes: Sequence[Shape], folder: SlimFolder, slurm: Slurm | None) -> Pace:
    """As it was measured for this network, its pruning and data before, in this folder, or now."""
    record = folder.record
    found = Pace(**record.pace) if record.pace else None
    if found and record.probe == _probed(recipe, probe, found) and (not found.shape or found.shape in shapes):
        return found
    say(f"timing a few steps of {probe.resume or probe.arch} on {probe.dataset}")
    given = probe, pruning_of(recipe), shapes
    return measure_pace(*given) if slurm is None else result_of(slurm.submit(Work(measure_pace, given), "netslim-pace"))


def _probed(recipe: Recipe, probe: TrainConfig, pace: Pace) -> dict[str, Any]:
    """What a pace was measured of: without what it chose."""
    settings = pruning_of(recipe)
    chosen = {**CHOSEN, **pace.shape}
    own = {name: value for name, value in settings.items() if chosen.get(name) != value}
    fixed = probe.fixed()
    precision = "auto" if fixed["precision"] == pace.precision else fixed["precision"]
    return {**fixed, "precision": precision, "pruning": own}


def _asked(config: SlimConfig) -> dict[str, Any]:
    """What the plan depends on: a recipe by what is in it."""
    asked = config.model_dump(mode="json", exclude={"save", "dry_run", "recipe", "data_dir", "slurm"})
    asked |= {"recipe": file_hash(config.recipe) if config.recipe else None, "steps": dict(config.steps)}
    asked |= {"at_once": True} if config.slurm else {}
    return asked


def _facts(recipe: Recipe, pace: Pace | None) -> dict[str, Any]:
    probe = probe_of(recipe)
    found = {"recipe": recipe.to_dict(), "pace": pace.to_dict() if pace else None}
    return {**found, "probe": _probed(recipe, probe, pace) if probe and pace else None}


def _comment(config: SlimConfig) -> str:
    origin = f"of {config.recipe}" if config.recipe else "planned"
    return f"netslim slim FILE --save DIR runs this recipe ({origin})."


def _known(folder: SlimFolder) -> dict[str, summary.Row]:
    """Networks that were measured before, by their hash."""
    rows = (folder.record.result or {}).get("networks") or []
    return {row["sha256"]: row for row in rows if "sha256" in row}


def _say_plan(variants: list[Variant], pace: Pace | None) -> None:
    """What will be done, before it is."""
    seen: dict[Path, bool] = {}  # folder -> whether it is done
    total = 0.0
    rows = []
    for variant in variants:
        times = expected(variant.steps, pace)
        for each in variant.steps:
            if each.folder in seen:
                continue
            done = all(seen.get(path.parent, True) for path in each.inputs.values()) and is_done(each)
            seen[each.folder] = done
            total += 0 if done else times.get(each.step.name, 0.0)
            about = "done" if done else shown(times[each.step.name]) if times else ""
            rows.append([each.step.name, _said(each), ", ".join(each.step.starts), about, str(each.folder)])
    print_table(["step", "what", "from", "about", "folder"], rows)
    if pace and total:
        small = f", {pace.small_epoch:.1f} s with the pruned network" if pace.small_second else ""
        say(
            f"about {shown(total)} in all: an epoch of {pace.train:,} images takes about {pace.epoch:.1f} s here{small}"
        )


def _said(planned: Planned) -> str:
    """A step in a few words: the settings that decide."""
    hidden = {*SHARED, "source", "batch_size"}
    switches = {True: "", False: "no "}
    words = [
        f"{switches[value]}{name.replace('_', ' ')}" if isinstance(value, bool) else f"{name} {value}"
        for name, value in planned.step.settings.items()
        if name not in hidden
    ]
    return " ".join([planned.step.verb, ", ".join(words)])


def _folders(root: Path, variants: list[Variant]) -> list[str]:
    """Where the variants' own results lie, from the folder of all."""
    return [variant.folder.relative_to(root).as_posix() for variant in variants]


@contextmanager
def _going_on(root: Path, variants: list[Variant]) -> Iterator[None]:
    """A signal ends in a page of what there is, and, between the savings of a step, in what to type."""
    try:
        yield
    except (Stopped, InterruptedRunError) as stop:
        if isinstance(stop, Stopped):
            say("type the same command again to go on")
        if any(is_run(each.folder) for variant in variants for each in variant.steps):
            write_beside(root)
        raise


def _run_variant(variant: Variant, known: dict[str, summary.Row]) -> dict[str, Any]:
    """All steps of a variant, and what came of them."""
    results: dict[str, Mapping[str, Any]] = {}
    for number, each in enumerate(variant.steps, 1):
        where = f", {variant.said}" if variant.said else ""
        say(f"step {number} of {len(variant.steps)}: {each.step.name} ({each.step.verb}{where})")
        results[each.step.name] = run_step(each)
    dense, small = summary.dense_and_small(variant.steps)
    found: dict[str, Any] = {"dense": None, "small": None}
    for name, network in (("dense", dense), ("small", small)):
        step = network if isinstance(network, Planned) else None
        file = step.network if step else network
        if isinstance(file, Path):
            row = summary.measured(file, variant.steps, known, results[step.step.name] if step else None)
            found[name] = known[row["sha256"]] = row
    summary.show_steps(variant, results, found["dense"], found["small"])
    return found


def _finish(
    config: SlimConfig, axes: list[Axis], variants: list[Variant], found: list[dict[str, Any]]
) -> dict[str, Any]:
    """Copies the last networks to where they are found, and says what all of it came to."""
    rows, networks = [], []
    for variant, each in zip(variants, found, strict=True):
        small = each["small"]
        if small is None:
            continue
        source, target = Path(small["file"]), variant.folder / NETWORK
        if not target.is_file() or file_hash(target) != small["sha256"]:
            atomic_write(target, source.read_bytes())
        networks += [row for row in (each["dense"], small) if row is not None]
        rows.append(summary.row_of(variant, each["dense"], {**small, "file": str(target)}))
    result: dict[str, Any] = {"rows": rows, "networks": networks}
    if rows and axes:
        write_csv(config.save / TABLE, rows)
        columns, cells = summary.means(rows)
        print_table(columns, cells)
        result["means"] = {"columns": columns, "rows": cells}
        result["each"] = summary.each(rows)
    show_commands(variants[-1].steps, variants[-1].said)
    return {**result, "commands": [commands(variant.steps) for variant in variants]}


def _say_end(save: Path, variants: list[Variant]) -> None:
    """What there is to look at when all is done."""
    what = f"{PAGE} and a sub-folder per step"
    if len(variants) > 1:
        what = f"{PAGE}, {TABLE} and a sub-folder per step; {NETWORK} and {PAGE} of each in "
        what += f"{variants[0].folder} and its like"
    say(f"all of it is in {save}: {RECIPE}, {RECORD}, {what}")
