"""`netslim info`: what a checkpoint holds."""

from typing import Any

from netslim.core.checkpoint import read_checkpoint
from netslim.core.files import file_hash
from netslim.cost import measure
from netslim.network import restore
from netslim.report.console import say
from netslim.report.tables import percent, print_table
from netslim.stages.info.config import InfoConfig
from netslim.stages.shared.datasets import dataset_name
from netslim.stages.shared.example_input import example_input


def run(config: InfoConfig) -> dict[str, Any]:
    """Reads a file, rebuilds its network and says what it is. Raises CheckpointError."""
    checkpoint = read_checkpoint(config.model)
    model = restore(checkpoint, config.model)
    example = example_input(model, checkpoint.dataset)
    cost = measure(model, example)
    arguments = ", ".join(f"{name}={value}" for name, value in model.arch.arguments.items())
    facts = {
        "file": str(config.model),
        "bytes": config.model.stat().st_size,
        "sha256": file_hash(config.model),
        "architecture": f"{model.arch.name}({arguments})",
        "params": cost.params,
        "macs": cost.macs,
        "input": "x".join(str(side) for side in example.shape[1:]),
        "epoch": checkpoint.epoch,
        "best_prec1": checkpoint.best_prec1,
        "selected_on": checkpoint.training.get("selected_on", "unknown (not recorded in the file)"),
        "dataset": dataset_name(checkpoint) or "unknown",
        "stage": checkpoint.provenance.get("stage", "none recorded: a file of other scripts"),
    }
    print_table(["what", "value"], [(name, f"{v:,}" if isinstance(v, int) else v) for name, v in facts.items()])
    if model.plan:
        kept = model.plan.kept / model.plan.total
        say(f"pruned: {model.plan.kept:,} of {model.plan.total:,} channels kept ({percent(kept, 1)})")
        print_table(["layer", "kept"], [(g.name, f"{len(g.keep)}/{g.total}") for g in model.plan.groups])
    return {
        **facts,
        "arch": model.arch.to_dict(),
        "cfg": model.cfg,
        "plan": model.plan.to_dict() if model.plan else None,
        "provenance": checkpoint.provenance,
    }
