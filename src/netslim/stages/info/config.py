"""Settings of `netslim info`; nothing heavy is imported here, since the command line's help is made from it."""

from pathlib import Path

from netslim.core.config import Setting
from netslim.stages.shared.config import NetworkConfig


class InfoConfig(NetworkConfig):
    """What a checkpoint holds."""

    model: Path = Setting(..., "checkpoint, or an ONNX file", reads=True)
