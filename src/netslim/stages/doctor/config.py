"""Settings of `netslim doctor`; nothing heavy is imported here, since the command line's help is made from it."""

from pathlib import Path

from netslim.core.config import Setting, StageConfig


class DoctorConfig(StageConfig):
    """What this machine has, and what is missing."""

    data_dir: Path | None = Setting(None, "folder of the data sets; default: $NETSLIM_DATA_DIR, else ./data")
