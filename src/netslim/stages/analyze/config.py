"""Settings of `netslim sweep` and `netslim sensitivity`."""

from pathlib import Path

from netslim.core.config import RUN_FILES, Setting
from netslim.core.errors import either
from netslim.stages.shared import plugins
from netslim.stages.shared.config import TaskConfig

_CRITERIA = either(plugins.CRITERIA.names())


class TrialConfig(TaskConfig):
    """Prunings of a network that are tried without training."""

    model: Path = Setting(..., "checkpoint of the network", reads=True)
    dataset: str | None = Setting(
        None, f"data set for the accuracy; default: the one in the file; or {plugins.OWN}", group="Data"
    )
    criterion: str = Setting("bn_scale", f"how channels are scored: {_CRITERIA}", group="Channels")
    min_channels: int = Setting(1, "channels that every layer keeps at least", group="Budget", ge=1)
    residual: str | None = Setting(
        None, "residual streams: select, or couple; default: as the network declares", group="Channels"
    )
    split: str = Setting("val", "images that judge: val (held out of the training set) or test", group="Data")
    recalibrate: int = Setting(
        20,
        "batches of 128 training images for BatchNorm statistics, for a second accuracy; 0: none",
        group="Repair",
        ge=0,
    )
    reconstruct: int = Setting(
        0, "training images that layers are fitted on, for one more accuracy (512 do); 0: none", group="Repair", ge=0
    )
    test_batch_size: int = Setting(256, "images per evaluation batch", group="Run", ge=1, le=1_000_000, free=True)


class SweepConfig(TrialConfig):
    """Accuracy, size and speed right after pruning, over a range of budgets."""

    percents: str | None = Setting(
        None,
        "shares of the channels to remove, with commas between; default: 0.1 to 0.9 in steps of 0.1",
        group="Budget",
    )
    target_macs: str | None = Setting(
        None, "MACs that remain instead, with commas between: 0.8,0.6 or 120M,80M", group="Budget"
    )
    criterion: str = Setting(
        "bn_scale", f"how channels are scored: {_CRITERIA}; several with commas between", group="Channels"
    )
    latency_batch: int = Setting(1, "images per call whose time is measured; 0: no times", group="Run", ge=0)
    save: Path = Setting(
        Path("sweep"), "folder for sweep.csv and sweep.png", group="Run", free=True, writes=("sweep.*", *RUN_FILES)
    )


class SensitivityConfig(TrialConfig):
    """What each layer's channels are worth: some of one layer's go, and nothing else."""

    shares: str = Setting(
        "0.25,0.5,0.75", "shares of a layer's channels to remove, with commas between", group="Budget"
    )
    recalibrate: int = Setting(
        0,
        "batches of 128 training images for BatchNorm statistics, for a second accuracy; 0: none",
        group="Repair",
        ge=0,
    )
    images: int = Setting(1000, "number of images that judge, drawn from the split", group="Data", ge=1)
    save: Path = Setting(
        Path("sensitivity"),
        "folder for sensitivity.csv and sensitivity.png",
        group="Run",
        free=True,
        writes=("sensitivity.*", *RUN_FILES),
    )
