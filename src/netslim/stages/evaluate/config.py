"""Settings of `netslim evaluate`; nothing heavy is imported here, since the command line's help is made from it."""

from pathlib import Path

from netslim.core.config import Setting
from netslim.stages.shared import plugins
from netslim.stages.shared.config import TaskConfig


class EvaluateConfig(TaskConfig):
    """Accuracy of a checkpoint, or of an ONNX file."""

    model: Path = Setting(..., "checkpoint, or an ONNX file", reads=True)
    dataset: str | None = Setting(None, f"data set; default: the one in the file; or {plugins.OWN}")
    split: str = Setting("test", "train or test")
    test_batch_size: int = Setting(256, "images per batch", ge=1, le=1_000_000)
    mean: str | None = Setting(
        None,
        "what is taken off pixels scaled to 0..1, one number per channel, with commas; default: as the file says, else "
        "0 for an ONNX file and the mean of the training images for a checkpoint",
    )
    std: str | None = Setting(
        None, "likewise, what they are divided by after that (1/255: 0.00392157); else 1, or their deviation"
    )
