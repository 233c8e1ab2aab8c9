"""Settings of `netslim evaluate`; nothing heavy is imported here, since the command line's help is made from it."""

from pathlib import Path

from netslim.core.config import Setting
from netslim.stages.shared.config import DataConfig


class EvaluateConfig(DataConfig):
    """Accuracy of a checkpoint."""

    model: Path = Setting(..., "checkpoint", reads=True)
    dataset: str | None = Setting(None, "data set; default: the one in the file")
    split: str = Setting("test", "train or test")
    test_batch_size: int = Setting(256, "images per batch", ge=1, le=1_000_000)
