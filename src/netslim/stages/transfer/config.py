"""Settings of `netslim transfer`; nothing heavy is imported here, since the command line's help is made from it."""

from pathlib import Path

from netslim.core.config import Setting
from netslim.core.errors import either
from netslim.stages.shared import plugins
from netslim.stages.shared.config import DataConfig

DEFAULT_STRATEGY = "select"  # of a transfer into the guide's resnet
_TARGETS = [name for name, record in plugins.ARCHITECTURES.declared().items() if record.get("takes_resnets", True)]
_ARCHITECTURES = either([*_TARGETS, "same (the source's own)", *plugins.library_networks()])


class TransferConfig(DataConfig):
    """Weights of a pretrained torchvision or timm ResNet into a prunable network."""

    source: str = Setting(
        "torchvision", f"library of the source network: {either(plugins.LIBRARIES.names())}", group="Source"
    )
    model_name: str = Setting("resnet50", "name of the source network in its library", group="Source")
    arch: str = Setting("resnet", f"prunable network: {_ARCHITECTURES}", group="Network")
    depth: int | None = Setting(None, "depth of arch resnet (9n+2); default: 164", group="Network")
    stem: str | None = Setting(
        None, "first layers of a library's network: imagenet (default), or cifar: small images", group="Network"
    )
    dataset: str | None = Setting(
        None,
        "data set that the network is for; default: cifar10 for arch resnet, else the source's classes stay",
        group="Data",
    )
    num_classes: int | None = Setting(
        None, "number of classes; default: the data set's, else the source's", group="Network", ge=1
    )
    in_channels: int | None = Setting(
        None, "input channels; default: the data set's, else the source's", group="Network", ge=1
    )
    strategy: str | None = Setting(
        None,
        f"how weights find their place: {either(plugins.STRATEGIES.names())}; default: exact for a library's "
        f"network, else {DEFAULT_STRATEGY}",
        group="Mapping",
    )
    last_stage: str | None = Setting(
        None, "strategy select: drop the source's fourth stage, or merge it", group="Mapping"
    )
    select_by: str | None = Setting(
        None, "strategy select: choose channels by spacing or by importance", group="Mapping"
    )
    head: str | None = Setting(
        None,
        "what a replaced classifier starts from: random, zero, or means of the classes; default: zero in a library's "
        "network, else random",
        group="Mapping",
    )
    recalibrate: int | None = Setting(
        None,
        "batches of 128 training images for BatchNorm statistics; default: 20 if at hand; 0: none",
        group="Data",
        ge=0,
    )
    output: Path = Setting(Path("transferred_model.pth.tar"), "file to write", group="Run", writes=True)
    report: Path | None = Setting(None, "JSON file for what became of every key", group="Run", writes=True)
    verbose: bool = Setting(False, "print what became of every key, too", group="Run", free=True)
    plot: Path | None = Setting(None, "picture (.png, .svg, .pdf) of which block went where", group="Run", writes=True)
    pretrained: bool = Setting(True, "use the source's pretrained weights", group="Source")
    weights: Path | None = Setting(
        None, "the source's weights from this file (.pth, .pth.tar, .safetensors)", group="Source", reads=True
    )
    seed: int = Setting(1, "seed of what is not transferred, and of the images that statistics come from", group="Run")
