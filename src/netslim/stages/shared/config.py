"""Where images come from: the settings that most verbs share."""

from pathlib import Path
from typing import Any

import pydantic

from netslim.core.config import Setting, StageConfig
from netslim.core.overwrites import Use
from netslim.core.variables import DATA, data_folder, takes_unverified_data
from netslim.stages.shared import plugins
from netslim.stages.shared.own_code import own_files

SEED = 1  # of what is drawn, where nobody says another
_FILES = {  # of data sets, in their folder
    "folder": ("train/*", "test/*", "val/*"),
    "cifar10": ("cifar-10-*",),
    "cifar100": ("cifar-100-*",),
    "fashion-mnist": ("FashionMNIST/*",),
}
VAL_SHARE = 0.1  # of the training set is held out


class ImagesConfig(StageConfig):
    """Where images come from."""

    data_dir: Path | None = Setting(
        None, "folder of the data sets; default: $NETSLIM_DATA_DIR, else ./data", group="Data", free=True
    )
    image_size: int | None = Setting(
        None, "side of the square images; default: the data set's own", group="Data", ge=8, le=8192
    )
    unverified_data: bool = Setting(
        False, "accept local data files whose hash is not the official one", group="Data", free=True
    )

    @pydantic.model_validator(mode="before")
    @classmethod
    def _from_environment(cls, values: Any) -> Any:
        """The variable is the flag: run.json, the page and the next command say so, too."""
        return {"unverified_data": True} | values if takes_unverified_data() else values

    def keeps(self) -> list[Use]:
        """With the files that the images are in."""
        dataset = getattr(self, "dataset", None)
        names = [name for kind, files in _FILES.items() if dataset in (None, kind) for name in files]
        folder = self.data_dir or data_folder() or DATA
        images = [Use(setting="data_dir", path=folder, names=tuple(names))] if names else []
        return [*super().keeps(), *images, *own_files(self)]


class DataConfig(ImagesConfig):
    """Where images come from, and where a network sees them."""

    device: str = Setting("auto", "auto, cpu, cuda or cuda:N", group="Run")


class NetworkConfig(StageConfig):
    """How a file's network is built, where it is code of the user's own: no file makes code run."""

    arch: str | None = Setting(None, f"the file's network, where it is {plugins.OWN}, or MODULE:NAME", group="Network")
    arch_args: list[str] = Setting(
        [], "what that code is called with, as key=value; default: as the file says", group="Network", added=True
    )

    def keeps(self) -> list[Use]:
        """With the file of the network's code."""
        return [*super().keeps(), *own_files(self)]


class JudgedConfig(ImagesConfig, NetworkConfig):
    """What a network is judged by."""

    loss: str | None = Setting(None, f"{plugins.or_own(plugins.LOSSES)}; default: the file's", group="Task")
    metric: str | None = Setting(None, f"{plugins.or_own(plugins.METRICS)}; default: the file's", group="Task")
    metric_mode: str | None = Setting(
        None, "max or min, whichever is better; default: as the metric says, else max", group="Task"
    )
    workers: int = Setting(0, "processes that load a data set of your own", group="Data", ge=0, le=1024, free=True)


class TaskConfig(DataConfig, JudgedConfig):
    """What a network is judged by, and where."""
