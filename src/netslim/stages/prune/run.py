"""`netslim prune`: removes the channels with the smallest scales; proves that the rebuilt network is the masked one."""

import time
from collections.abc import Callable
from typing import Any

from torch import nn

from netslim.core.checkpoint import Checkpoint, write_checkpoint
from netslim.core.errors import CheckpointError, setting, with_article
from netslim.core.files import atomic_write, write_json
from netslim.core.plugins.references import is_reference
from netslim.core.protocols import PrunableModel, PrunePlan, plan_of
from netslim.core.runlog import RunDirectory, RunStatus
from netslim.core.runs.file_names import PAGE, PLAN, PRUNED
from netslim.data import AnyDataset, evaluation_batches
from netslim.models.onnx_import import is_onnx
from netslim.network import describe, read
from netslim.own_loop.repair import Repair
from netslim.pruning import masked
from netslim.report.console import say
from netslim.report.page.beside import write_beside, write_missing
from netslim.stages.prune.config import PruneConfig
from netslim.stages.prune.momentum import carried_optimizer
from netslim.stages.prune.onnx_file import OF_ONNX, run_onnx
from netslim.stages.prune.planning import check_budget, decide, proven, recorded, say_plan
from netslim.stages.prune.repairing import check_repair, repaired
from netslim.stages.prune.rounds import as_asked, check_rounds, last_round
from netslim.stages.prune.warning_signs import warn_of
from netslim.stages.shared.datasets import check_fits, dataset_name, known_facts, open_any
from netslim.stages.shared.devices import pick_device
from netslim.stages.shared.example_input import example_input
from netslim.stages.shared.networks import arguments_of, name_of, sound_network
from netslim.stages.shared.own_code import own_code
from netslim.stages.shared.tasks import check_task, task_facts, task_of, try_out
from netslim.training.tasks.task import Task

TEXT = "prune.txt"


def run(config: PruneConfig) -> dict[str, Any]:
    """Prunes the network in `config.model` into the folder `config.save`. Returns what `run.json` records.

    Raises:
        UsageError: percent out of range, a busy or used folder.
        CheckpointError: the file, or a network of another depth.
        DataError: the data set for the accuracy.
    """
    check_budget(config)
    if is_onnx(config.model):
        return run_onnx(config)
    config.refuse(OF_ONNX, "only ONNX files need it")
    check_rounds(config)
    check_task(config)
    parents = {"model": config.model, **own_code(config)}
    with RunDirectory(config.save, "prune", config, parents=parents, writes=(PRUNED, PLAN, TEXT)) as directory:
        if directory.status is RunStatus.FINISHED:
            say(f"{config.save / PRUNED} is finished ({_summary(directory.result)}); nothing to do")
            write_missing(config.save)
            return directory.result
        if config.steps == 1:
            return _prune(config, directory)
        last, first = last_round(config, directory, run)
        return _prune(last, directory, lambda decided: as_asked(decided, config, first))


def _prune(
    config: PruneConfig, directory: RunDirectory, stated: Callable[[PrunePlan], PrunePlan] = lambda decided: decided
) -> dict[str, Any]:
    start = time.perf_counter()
    device = pick_device(config.device)
    checkpoint = read(config.model)
    model = sound_network(checkpoint, config.model, config.arch, config.arch_args).to(device).eval()
    _check_depth(model, config)
    dataset = _dataset(config, checkpoint)
    task = _task(config, checkpoint, model, dataset) if dataset else None
    check_repair(config, dataset)
    facts = known_facts(checkpoint, dataset, config)
    example = example_input(model, facts).to(device)
    decided = stated(decide(config, model, example, dataset, task))
    directory.begin()  # not before: a budget that can't be met leaves the folder free
    small, agreement = proven(model, decided, example)
    small, repair = repaired(config, dataset, model, small, example)
    accuracy = _accuracies(config, dataset, task, model, small, decided)
    _print(decided, accuracy, task, agreement.max_difference, repair)
    warn_of(decided, agreement, accuracy, dataset.num_classes if dataset else None)
    result = {
        "file": str(config.save / PRUNED),
        **recorded(decided),
        "max_difference": agreement.max_difference,
        **repair.to_dict(),
        **accuracy,
        **({"test_images": len(dataset.test)} if dataset and accuracy else {}),
        **(
            {"shown": {"label": task.label, "test": task.shown(accuracy[task.key()])}}
            if task and not task.is_top1
            else {}
        ),
        "seconds": time.perf_counter() - start,
    }
    checkpoint.optimizer = carried_optimizer(config, checkpoint, model, small)
    if task is not None:
        checkpoint.task = task_facts(task, accuracy[task.key()])
    _write(config, directory, checkpoint, small, result)
    say("wrote " + ", ".join(str(config.save / name) for name in (PRUNED, PLAN, TEXT, PAGE)))
    return result


def _check_depth(model: nn.Module, config: PruneConfig) -> None:
    """A network that has its depth in its name (torchvision/resnet50) fits any: resprune.py always asks for one."""
    found = arguments_of(model).get("depth")
    if config.depth is not None and found not in (None, config.depth):
        raise CheckpointError(
            f"{config.model} holds {with_article(name_of(model))} of depth {found}, not {config.depth}; "
            f"type {setting('depth', found)}"
        )


def _dataset(config: PruneConfig, checkpoint: Checkpoint) -> AnyDataset | None:
    name = config.dataset or dataset_name(checkpoint)
    if name is None:
        say(f"{config.model} names no data set: pruning without accuracies (type `dataset=NAME` for them)")
        return None
    if is_reference(name) and config.dataset is None:
        say(
            f"{config.model} was trained on {name}, which runs only if you name it: pruning without accuracies (type "
            f"{setting('dataset', name)} for them)"
        )
        return None
    return open_any(name, config, checkpoint.dataset)


def _task(config: PruneConfig, checkpoint: Checkpoint, model: nn.Module, dataset: AnyDataset) -> Task:
    """What the network is judged by, on images that are found to fit it."""
    check_fits(model, dataset, str(config.model))
    device = next(model.parameters()).device
    task = task_of(config, dataset, checkpoint, config.model, device=device)
    try_out(task, model, dataset, device)
    return task


def _accuracies(
    config: PruneConfig,
    dataset: AnyDataset | None,
    task: Task | None,
    model: nn.Module,
    small: nn.Module,
    decided: PrunePlan,
) -> dict[str, float]:
    """The metric on the test set of the network as it was, masked (the original's rule), and as it is written."""
    if dataset is None or task is None:
        return {}
    device = next(model.parameters()).device
    networks = {"before": model, "masked": masked(model, decided), "": small}
    return {
        task.key(name): task.evaluate(
            network, evaluation_batches(dataset.test, dataset, batch_size=config.test_batch_size, device=device)
        ).value
        for name, network in networks.items()
    }


def _print(
    decided: PrunePlan, accuracy: dict[str, float], task: Task | None, difference: float, repair: Repair
) -> None:
    say_plan(decided)
    say(f"largest difference of a logit, masked to rebuilt: {difference:.1e}")
    for line in repair.lines():
        say(line)
    if task is not None:
        whole, gone, now = (task.shown(accuracy[task.key(name)]) for name in ("before", "masked", ""))
        say(f"test {task.label} {whole} before this pruning, {gone} masked, {now} {repair.title} (no fine-tuning yet)")


def _write(
    config: PruneConfig,
    directory: RunDirectory,
    parent: Checkpoint,
    small: nn.Module,
    result: dict[str, Any],
) -> None:
    checkpoint = describe(small)
    checkpoint.dataset = parent.dataset
    checkpoint.optimizer = parent.optimizer
    checkpoint.best_prec1 = result.get("top1", 0.0)
    checkpoint.task = parent.task
    checkpoint.training = {
        name: value for name, value in parent.training.items() if name in ("selected_on", "optimizer")
    }
    checkpoint.training["judged_on"] = "test"
    checkpoint.provenance = directory.provenance(config)
    write_json(config.save / PLAN, checkpoint.plan)
    accuracy = f"\nTest accuracy: \n{result['top1_masked']}" if "top1_masked" in result else ""
    text = f"Configuration: \n{_widths(small)}\nNumber of parameters: \n{result['params']}{accuracy}\n"
    atomic_write(config.save / TEXT, text.encode())
    write_checkpoint(config.save / PRUNED, checkpoint)
    directory.finish(result)
    write_beside(config.save)


def _widths(small: nn.Module) -> list[int | str]:
    """The original's list; of a network that declares none, the channels that each group keeps."""
    plan = plan_of(small)
    return (
        [*small.cfg] if isinstance(small, PrunableModel) else [len(part.keep) for part in plan.groups] if plan else []
    )


def _summary(result: dict[str, Any]) -> str:
    return f"{result['kept']:,} of {result['channels']:,} channels kept, {result['params']:,} parameters"
