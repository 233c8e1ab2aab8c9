"""Settings of `netslim evaluate`; nothing heavy is imported here, since the command line's help is made from it."""

from pathlib import Path

from netslim.core.config import Setting
from netslim.stages.shared import plugins
from netslim.stages.shared.config import TaskConfig


class EvaluateConfig(TaskConfig):
    """Accuracy of a checkpoint."""

    model: Path = Setting(..., "checkpoint", reads=True)
    dataset: str | None = Setting(None, f"data set; default: the one in the file; or {plugins.OWN}")
    split: str = Setting("test", "train or test")
    test_batch_size: int = Setting(256, "images per batch", ge=1, le=1_000_000)
