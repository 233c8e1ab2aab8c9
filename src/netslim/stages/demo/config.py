"""Settings of `netslim demo`; nothing heavy is imported here, since the command line's help is made from it."""

from pathlib import Path

from netslim.core.config import Setting, StageConfig


class DemoConfig(StageConfig):
    """The five steps on the embedded digits."""

    save: Path = Setting(Path("runs/demo"), "folder for all files", free=True, writes=("*",))
    seed: int = Setting(1, "seed of everything random")
