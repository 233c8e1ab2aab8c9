"""What a training says of itself in its first and its last line."""

from typing import Any

from torch import nn

from netslim.core.checkpoint import Checkpoint
from netslim.core.networks.trees import Batch
from netslim.core.processes.distributed import World
from netslim.core.protocols import plan_of
from netslim.cost import measure
from netslim.data import AnyDataset
from netslim.models.own import arch_of
from netslim.report.tables import percent, size
from netslim.stages.shared.datasets import dataset_facts, dataset_name, shown_normalization
from netslim.stages.shared.networks import arguments_of
from netslim.stages.train.config import TrainConfig
from netslim.training.tasks.task import Task

BY_OBJECTIVE = "loss + penalty"


def other_images(there: Checkpoint, dataset: AnyDataset, config: TrainConfig) -> str:
    """How the images differ from those that a start file's network learnt from, as far as the file says; or nothing."""
    facts, now = there.dataset or {}, dataset_facts(dataset, config)
    pairs = {
        "data set": (dataset_name(there), dataset.name),
        "image size": tuple("x".join(map(str, known.get("image_size") or ())) for known in (facts, now)),
        "normalised by": (shown_normalization(facts), shown_normalization(now)),
    }
    changes = [f"{what} {new} (there {old})" for what, (old, new) in pairs.items() if old and new and old != new]
    return ", ".join(changes)


def processes(config: TrainConfig, world: World) -> str:
    """What the first line says of several processes."""
    if world.size == 1:
        return ""
    return f"; {world.size} processes, BatchNorm over {'all' if config.sync_bn else 'each'}"


def arguments(model: nn.Module) -> str:
    """What the first line says of the network."""
    cost = f"{size(sum(p.numel() for p in model.parameters()))} parameters"
    depth = arguments_of(model).get("depth")
    return f"({f'depth {depth}, ' if depth is not None else ''}{cost}{', pruned' if plan_of(model) else ''})"


def judged(task: Task, best: float, epoch: int, test: float) -> dict[str, Any]:
    """What `run.json` says of the metric: of the chosen epoch, and on the test images."""
    if task.is_top1:
        return {"best_top1": best, "best_epoch": epoch, "test_top1": test}
    return {
        "metric_name": task.metric,
        "best_metric": best,
        "best_epoch": epoch,
        "test_metric": test,
        "shown": {"label": task.label, "best": task.shown(best), "test": task.shown(test)},
    }


def built(model: nn.Module, example: Batch) -> dict[str, Any]:
    """What `run.json` says of the network: of one from a file, the settings do not say it."""
    cost, arch = measure(model, example), arch_of(model)
    return {"params": cost.params, "macs": cost.macs, **({"arch": arch.to_dict()} if arch else {})}


def summary(result: dict[str, Any]) -> str:
    """What the last line says of a finished run."""
    shown = result.get("shown")
    if shown is None:
        shown = {"label": "top-1", "best": percent(result["best_top1"]), "test": percent(result["test_top1"])}
    text = f"best {result['selected_on']} {shown['label']} {shown['best']} in epoch {result['best_epoch']}"
    if result["chosen_by"] == BY_OBJECTIVE:
        text = text.removeprefix("best ") + f" (lowest {BY_OBJECTIVE})"
    if result["selected_on"] == "test":
        return text + ", chosen on the test set"
    return f"{text}, test {shown['label']} {shown['test']}"
