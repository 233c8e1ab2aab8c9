"""What environment variables say, where no setting does."""

import os
from pathlib import Path

DATA = Path("data")  # the folder of the data sets, where nothing says another


def data_folder() -> Path | None:
    """The folder of the data sets that NETSLIM_DATA_DIR names, or None."""
    named = os.environ.get("NETSLIM_DATA_DIR")
    return Path(named) if named else None


def takes_unverified_data() -> bool:
    """Whether files are taken whose hash is not the published one: NETSLIM_UNVERIFIED_DATA=1 says so."""
    return os.environ.get("NETSLIM_UNVERIFIED_DATA") == "1"
