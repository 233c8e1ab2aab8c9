"""What a training says of itself in its first and its last line."""

from typing import Any

from netslim.core.processes.distributed import World
from netslim.core.protocols import PrunableModel
from netslim.report.tables import percent, size
from netslim.stages.train.config import TrainConfig

BY_ACCURACY, BY_OBJECTIVE = "top-1", "loss + penalty"


def processes(config: TrainConfig, world: World) -> str:
    """What the first line says of several processes."""
    if world.size == 1:
        return ""
    return f"; {world.size} processes, BatchNorm over {'all' if config.sync_bn else 'each'}"


def arguments(model: PrunableModel) -> str:
    """What the first line says of the network."""
    cost = f"{size(sum(p.numel() for p in model.parameters()))} parameters"
    depth = model.arch.arguments.get("depth")
    return f"({f'depth {depth}, ' if depth is not None else ''}{cost}{', pruned' if model.plan else ''})"


def summary(result: dict[str, Any]) -> str:
    """What the last line says of a finished run."""
    text = f"best {result['selected_on']} top-1 {percent(result['best_top1'])} in epoch {result['best_epoch']}"
    if result["chosen_by"] == BY_OBJECTIVE:
        text = text.removeprefix("best ") + f" (lowest {BY_OBJECTIVE})"
    if result["selected_on"] == "test":
        return text + ", chosen on the test set"
    return f"{text}, test top-1 {percent(result['test_top1'])}"
