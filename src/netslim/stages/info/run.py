"""`netslim info`: what a checkpoint holds."""

from typing import Any

from netslim.core.checkpoint import Checkpoint
from netslim.core.files import file_hash
from netslim.core.protocols import PrunableModel, plan_of
from netslim.cost import measure
from netslim.models.onnx_import import is_onnx
from netslim.models.own import arch_of
from netslim.network import read
from netslim.report.console import say
from netslim.report.tables import percent, print_table
from netslim.stages.info.config import InfoConfig
from netslim.stages.info.onnx_file import run_onnx
from netslim.stages.info.table import of_images, print_facts
from netslim.stages.shared.datasets import dataset_name
from netslim.stages.shared.example_input import example_input, sides
from netslim.stages.shared.networks import arguments_of, name_of, open_network


def run(config: InfoConfig) -> dict[str, Any]:
    """Reads a file, rebuilds its network and says what it is. Raises CheckpointError."""
    if is_onnx(config.model):
        return run_onnx(config)
    checkpoint = read(config.model)
    model = open_network(checkpoint, config.model, config.arch, config.arch_args)
    plan = plan_of(model)
    example = example_input(model, checkpoint.dataset)
    cost = measure(model, example)
    arguments = ", ".join(f"{name}={value}" for name, value in arguments_of(model).items())
    facts = {
        "file": str(config.model),
        "bytes": config.model.stat().st_size,
        "sha256": file_hash(config.model),
        "architecture": f"{name_of(model)}({arguments})",
        "params": cost.params,
        "macs": cost.macs,
        "input": sides(example),
        "epoch": checkpoint.epoch,
        **_best(checkpoint),
        "selected_on": checkpoint.training.get("selected_on", "unknown (not recorded in the file)"),
        "dataset": dataset_name(checkpoint) or "unknown",
        **of_images(checkpoint.dataset),
        "stage": checkpoint.provenance.get("stage", "none recorded: a file of other scripts"),
    }
    print_facts(facts)
    if plan:
        kept = plan.kept / plan.total
        say(f"pruned: {plan.kept:,} of {plan.total:,} channels kept ({percent(kept, 1)})")
        print_table(["layer", "kept"], [(g.name, f"{len(g.keep)}/{g.total}") for g in plan.groups])
    arch = arch_of(model)
    return {
        **facts,
        "arch": arch.to_dict() if arch else None,
        "cfg": model.cfg if isinstance(model, PrunableModel) else None,
        "plan": plan.to_dict() if plan else None,
        "provenance": checkpoint.provenance,
    }


def _best(checkpoint: Checkpoint) -> dict[str, Any]:
    """What the network was chosen by."""
    task = checkpoint.task
    if task is None:
        judged_on = checkpoint.training.get("judged_on") or checkpoint.training.get("selected_on")
        return {"best_prec1": checkpoint.best_prec1, **({"best_prec1_on": judged_on} if judged_on else {})}
    return {"loss": task.loss, "metric": task.metric, "best_metric": task.best}
