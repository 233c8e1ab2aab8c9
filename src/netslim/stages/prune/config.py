"""Settings of `netslim prune`; nothing heavy is imported here, since the command line's help is made from it."""

from pathlib import Path

from netslim.core.config import RUN_FILES, Setting
from netslim.core.errors import either
from netslim.core.runs.file_names import PLAN, PRUNED
from netslim.stages.shared import plugins
from netslim.stages.shared.config import TaskConfig
from netslim.training.schedule import SCHEDULES


class PruneConfig(TaskConfig):
    """Removal of the channels with the smallest scales."""

    model: Path = Setting(..., "checkpoint of the network to prune, or an ONNX file", reads=True)
    dataset: str | None = Setting(
        None, f"data set for the accuracy; default: the one in the file; or {plugins.OWN}", group="Data"
    )
    depth: int | None = Setting(None, "expected depth; default: whatever the file holds", group="Channels")
    percent: float | None = Setting(
        None,
        "share of all channels to remove, from 0 up to but not including 1; default: 0.5 without another budget",
        group="Budget",
    )
    target_params: str | float | None = Setting(
        None, "parameters that remain: a share (0.5) or a number (1.2M)", group="Budget"
    )
    target_macs: str | float | None = Setting(
        None, "MACs that remain: a share (0.5) or a number (120M)", group="Budget"
    )
    target_latency: str | float | None = Setting(
        None, "time that remains, measured on this machine: a share (0.6), or a time for a batch (3ms)", group="Budget"
    )
    latency_batch: int = Setting(1, "images per batch for --target-latency", group="Budget", ge=1)
    engine: str | None = Setting(
        None,
        "with --target-latency: spend channels where this engine's time goes: onnxruntime, openvino, eager or compiled",
        group="Budget",
        added=True,
    )
    threads: int | None = Setting(
        None, "processor threads of --engine; default: all cores", group="Budget", ge=1, added=True
    )
    int8: bool = Setting(
        False, "with --engine: its time in 8-bit integers, as export --int8 writes them", group="Budget", added=True
    )
    table: Path | None = Setting(
        None,
        "times of parts in --engine, from netslim profile, perhaps of another machine; default: this machine's",
        group="Budget",
        reads=True,
        added=True,
    )
    min_channels: int = Setting(
        1, "channels that every layer keeps at least; 0: whole blocks may go", group="Budget", ge=0
    )
    round_to: int = Setting(1, "make the layers' widths multiples of this", group="Budget", ge=1)
    only: str | None = Setting(
        None, "prune these layers alone: names or patterns (layer1*) with commas between", group="Channels"
    )
    ignore: str | None = Setting(
        None, "leave these layers as they are: names or patterns with commas between", group="Channels"
    )
    per_layer: bool = Setting(
        False, "the same share of every layer's channels goes, not the lowest over all layers", group="Channels"
    )
    allocation: str = Setting(
        "scores",
        "how many of each layer's channels go: as their scores say, or by sensitivity: by what the outputs lose on 256 "
        "training images, without labels",
        group="Channels",
        added=True,
    )
    residual: str | None = Setting(
        None, "residual streams: select, or couple; default: as the network declares", group="Channels"
    )
    criterion: str = Setting(
        "bn_scale",
        f"how channels are scored: {either(plugins.CRITERIA.names())}",
        group="Channels",
    )
    seed: int = Setting(1, "seed of the random criterion, and of the images that others look at", group="Run")
    test_batch_size: int = Setting(256, "images per evaluation batch", group="Run", ge=1, le=1_000_000, free=True)
    absorb: bool = Setting(
        True, "keep the constants that the removed channels' BatchNorm shifts gave to later layers", group="Repair"
    )
    recalibrate: int | None = Setting(
        None,
        "batches of 128 training images for BatchNorm statistics, instead of --reconstruct; 0: none",
        group="Repair",
        ge=0,
    )
    reconstruct: int | None = Setting(
        None,
        "training images that the layers that are left are fitted on; default: 512 if there are any, without "
        "--recalibrate; 0: none, but statistics of 20 batches",
        group="Repair",
        ge=0,
    )
    carry_momentum: bool = Setting(
        True, "keep the momentum of what stays, if the file has any, for the fine-tuning", group="Repair"
    )
    steps: int = Setting(1, "prune in this many rounds, with training between them", group="Rounds", ge=1, le=100)
    epochs: int = Setting(1, "with --steps: epochs of training between two rounds", group="Rounds", ge=1)
    optimizer: str | None = Setting(
        None,
        f"with --steps: {plugins.or_own(plugins.OPTIMIZERS)}; default: what trained the file, else sgd",
        group="Rounds",
        added=True,
    )
    lr: float | None = Setting(
        None, "with --steps: base learning rate; default: 0.01 with sgd, 0.001 with others", group="Rounds", gt=0
    )
    schedule: str = Setting("cosine", f"with --steps: {either(SCHEDULES)}", group="Rounds")
    batch_size: int = Setting(64, "with --steps: images per step of training", group="Rounds", ge=1, le=1_000_000)
    precision: str = Setting(
        "auto", "with --steps: fp32 (exact), bf16, fp16, or auto: the fastest in a short probe", group="Rounds"
    )
    track: str | None = Setting(
        None,
        f"with --steps: also send each epoch's numbers to {either(plugins.summarised(plugins.TRACKERS))}",
        group="Rounds",
        free=True,
    )
    input_shape: str | None = Setting(
        None,
        "of an ONNX file that leaves sides open: one input without the batch, as 3x48x320; default: what fits of some "
        "usual sizes",
        group="ONNX",
        added=True,
    )
    mean: str | None = Setting(
        None,
        "of an ONNX file's images, whose pixels are scaled to 0..1: one number per channel, with commas; default: 0",
        group="ONNX",
        added=True,
    )
    std: str | None = Setting(
        None,
        "likewise, what pixels are divided by after that (1/255: 0.00392157); default: 1",
        group="ONNX",
        added=True,
    )
    save: Path = Setting(
        Path("pruned"),
        "folder for pruned.pth.tar (pruned.onnx), plan.json and prune.txt",
        group="Run",
        free=True,
        writes=(PRUNED, "pruned.onnx", PLAN, "prune.txt", "round*", *RUN_FILES),
    )
