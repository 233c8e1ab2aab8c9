"""Settings of `netslim push`; nothing heavy is imported here, since the command line's help is made from it."""

from pathlib import Path

from netslim.core.config import IN_FOLDERS, Setting
from netslim.stages.shared.config import NetworkConfig


class PushConfig(NetworkConfig):
    """A network for others to load: weights, configuration and card, at the Hugging Face hub."""

    model: Path = Setting(
        ..., "checkpoint, or folder of a run, of netslim slim too: its best network", reads=IN_FOLDERS
    )
    to: str = Setting(..., "repository at the hub: user/name")
    license: str | None = Setting(None, "licence of the weights, as the hub spells it: mit, apache-2.0 ...")
    private: bool = Setting(False, "if the repository is made, make it private")
    yes: bool = Setting(False, "send it; without this word the card and the files are shown, and nothing is sent")
