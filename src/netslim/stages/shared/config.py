"""Where images come from: the settings that most verbs share."""

from pathlib import Path

from netslim.core.config import Setting, StageConfig

SEED = 1  # of what is drawn, where nobody says another
VAL_SHARE = 0.1  # of the training set is held out


class DataConfig(StageConfig):
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
    device: str = Setting("auto", "auto, cpu, cuda or cuda:N", group="Run")
