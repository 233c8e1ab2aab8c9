"""Settings of `netslim doctor`."""

from pathlib import Path

from netslim.stages.doctor.config import DoctorConfig


def test_the_folder_of_the_data_sets_alone() -> None:
    assert DoctorConfig().model_dump() == {"data_dir": None}
    assert DoctorConfig.build({"data_dir": "there"}).data_dir == Path("there")
