import pytest

from netslim.stages.shared.config import SEED, VAL_SHARE, DataConfig
from netslim.stages.train.config import TrainConfig


def test_what_other_stages_take_for_the_trainings_defaults_are_those() -> None:
    assert (TrainConfig().seed, TrainConfig().val_share) == (SEED, VAL_SHARE)


def test_where_images_are_does_not_change_a_result() -> None:
    assert DataConfig(data_dir="elsewhere", unverified_data=True).fixed() == {"image_size": None, "device": "auto"}


def test_the_variable_for_other_files_is_the_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETSLIM_UNVERIFIED_DATA", "1")
    assert DataConfig().unverified_data
    assert not DataConfig(unverified_data=False).unverified_data
    monkeypatch.setenv("NETSLIM_UNVERIFIED_DATA", "0")
    assert not DataConfig().unverified_data
