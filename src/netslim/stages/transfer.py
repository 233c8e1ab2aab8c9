"""`netslim transfer`: weights of a pretrained ResNet into a prunable network."""

import time
from typing import Any

from netslim.core.checkpoint import write_checkpoint
from netslim.core.environment import commit, versions
from netslim.core.errors import UsageError
from netslim.core.files import check_writable
from netslim.core.seeding import seed_torch
from netslim.cost import count_params
from netslim.data import fixed_shape
from netslim.models import create_model
from netslim.network import describe
from netslim.report.console import say
from netslim.report.tables import print_table
from netslim.stages.configs import TransferConfig
from netslim.transfers import TransferReport, load_source, transfer

RULE = "=" * 60


def run(config: TransferConfig) -> dict[str, Any]:
    """Writes `config.output`, the network with what could be transferred.

    Raises:
        UsageError: unknown source, model, strategy or data set, or an impossible depth.
        CheckpointError: the source's weights can't be had, or are not what they should be.
        NetslimError: the output can't be written.
    """
    start = time.perf_counter()
    check_writable(config.output)
    classes, channels = _shape(config)
    seed_torch(config.seed, "init")
    target = create_model(
        config.arch,
        depth=config.depth,
        num_classes=classes,
        in_channels=channels,
    )
    source = load_source(config.source, config.model_name, pretrained=config.pretrained, weights=config.weights)
    model, report = transfer(source, target, config.strategy)
    checkpoint = describe(model)
    checkpoint.extra = {
        "source": config.source,
        "source_model": config.model_name,
        "dataset": config.dataset,
        "depth": config.depth,
    }
    checkpoint.provenance = {
        "stage": "transfer",
        "versions": versions(),
        "commit": commit(),
        "config": config.model_dump(mode="json"),
        "source": dict(report.source or {}),
        "coverage": report.coverage,
    }
    write_checkpoint(config.output, checkpoint)
    _print(config, report)
    cost = {"params": count_params(model)}
    return {"file": str(config.output), **cost, **report.to_dict(), "seconds": time.perf_counter() - start}


def _shape(config: TransferConfig) -> tuple[int, int]:
    """Number of classes and input channels, from the flags or the data set's name."""
    shape = fixed_shape(config.dataset)
    classes = config.num_classes or (shape and shape[0])
    channels = config.in_channels or (shape and shape[1])
    if not classes or not channels:
        raise UsageError(f"the data set '{config.dataset}' fixes no shape: type --num-classes N --in-channels 1 or 3")
    return classes, channels


def _print(config: TransferConfig, report: TransferReport) -> None:
    say(f"{config.source} {config.model_name} -> prunable {config.arch}, depth {config.depth}, for {config.dataset}")
    print_table(["key", "fate", "reason"], report.rows())
    for line in report.summary_lines():
        say(line)
    say(f"wrote {config.output}; fine-tune it before pruning:")
    say(
        f"  netslim train --resume {config.output} --dataset {config.dataset} --depth {config.depth} "
        f"--save ./fine_tuned_model"
    )
