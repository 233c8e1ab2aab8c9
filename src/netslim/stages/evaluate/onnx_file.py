"""`netslim evaluate` of an ONNX file, by ONNX Runtime."""

from __future__ import annotations

from torch import Tensor

from netslim.core.errors import ArgumentError, CheckpointError, NetslimError, UsageError
from netslim.cost import measure
from netslim.data import AnyDataset, ImageDataset
from netslim.models.onnx_import import load_onnx
from netslim.stages.evaluate.config import EvaluateConfig
from netslim.stages.evaluate.normalization import as_taken
from netslim.stages.shared.datasets import open_any
from netslim.stages.shared.onnx_network import OnnxNetwork


def open_onnx(config: EvaluateConfig) -> tuple[OnnxNetwork, AnyDataset, str]:
    """The network, the data set that judges it, and its name.

    Raises:
        UsageError: settings that make no sense for an ONNX file, no data set, onnxruntime is not installed.
        CheckpointError: the file, or a network for other images.
        DataError: the data set.
    """
    config.refuse(("arch", "arch_args"), "an ONNX file says by itself what it is; leave it out")
    if config.device not in ("auto", "cpu"):
        raise ArgumentError("device", config.device, "ONNX files are run on the processor: leave it out")
    network = OnnxNetwork(config.model)
    facts = network.facts.get("dataset") or {}
    name = config.dataset or facts.get("name")
    if name is None:
        raise UsageError(f"{config.model} names no data set; type `dataset=NAME`, or `dataset=folder` for your images")
    _, height, width = network.shape
    if config.image_size is None and height == width and height is not None and facts.get("name") != name:
        config = config.model_copy(update={"image_size": height})
    dataset = as_taken(open_any(name, config, facts), config, facts, usual=(0.0, 1.0))
    _check_images(network, dataset, config)
    return network, dataset, name


def _check_images(network: OnnxNetwork, dataset: AnyDataset, config: EvaluateConfig) -> None:
    if not isinstance(dataset, ImageDataset):
        return
    there = (dataset.in_channels, *dataset.image_size)
    if any(side not in (None, other) for side, other in zip(network.shape, there, strict=True)):
        takes, gives = ("x".join(str(side or "?") for side in shape) for shape in (network.shape, there))
        raise CheckpointError(f"{config.model} takes images of {takes}; those of {dataset.name} are {gives}")


def cost_of(network: OnnxNetwork, config: EvaluateConfig, example: Tensor) -> dict[str, int | None]:
    """Parameters and MACs, as the file says or as its graph is read; None where that can't be, as of int8."""
    said = {name: network.facts.get(name) for name in ("params", "macs")}
    if all(isinstance(value, int) for value in said.values()):
        return said
    try:
        cost = measure(load_onnx(config.model), example)
    except NetslimError:
        return {"params": None, "macs": None}
    return {"params": cost.params, "macs": cost.macs}
