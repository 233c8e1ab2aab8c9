"""`netslim info` of an ONNX file."""

from __future__ import annotations

from collections import Counter
from typing import Any

from torch import nn

from netslim.core.errors import NetslimError
from netslim.core.files import file_hash
from netslim.cost import count_params, measure
from netslim.deploy.formats.onnx_hash import facts_in, metadata_of
from netslim.models.onnx_import import OnnxSource, load_onnx, source_of
from netslim.report.console import say
from netslim.stages.info.config import InfoConfig
from netslim.stages.info.table import of_images, print_facts

_LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.Linear, nn.modules.batchnorm._BatchNorm)


def run_onnx(config: InfoConfig) -> dict[str, Any]:
    """Reads an ONNX file as a network and says what it is. Raises CheckpointError as `netslim.load` does."""
    config.refuse(("arch", "arch_args"), "an ONNX file says by itself what it is; leave it out")
    network = load_onnx(config.model)
    source = source_of(network)
    if source is None:
        raise NetslimError(f"{config.model} was read without its source")
    said = facts_in(metadata_of(source.proto))
    cost = measure(network, source.example(1))
    layers = Counter(type(module).__name__ for module in network.modules() if isinstance(module, _LAYERS))
    facts = {
        "file": str(config.model),
        "bytes": config.model.stat().st_size,
        "sha256": file_hash(config.model),
        "inputs": ", ".join(f"{port.name} {_sides(source, at)}" for at, port in enumerate(source.inputs)),
        **({"fixed": "; ".join(source.fixed)} if source.fixed else {}),
        "outputs": ", ".join(output.name for output in source.proto.graph.output),
        **({"rest": source.rest} if source.rest else {}),
        "operator set": max(entry.version for entry in source.proto.opset_import if entry.domain in ("", "ai.onnx")),
        "written by": f"{source.proto.producer_name} {source.proto.producer_version}".strip() or "not recorded",
        "nodes": len(source.proto.graph.node),
        "layers": ", ".join(f"{count} {kind}" for kind, count in layers.most_common()) or "none",
        "params": count_params(network),
        "macs": cost.macs,
        **of_images(said.get("dataset")),
    }
    print_facts(facts)
    plan = said.get("plan")
    if plan:
        say("pruned by netslim: its plan is in the metadata")
    return {**facts, "plan": plan}


def _sides(source: OnnxSource, at: int) -> str:
    """The shape; sides that the file leaves open have a question mark and the size at which they were followed."""
    port = source.inputs[at]
    sides = [f"?({side})" if free else str(side) for side, free in zip(port.shape, port.free, strict=True)]
    return "x".join(sides)
