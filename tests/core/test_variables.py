from pathlib import Path

import pytest

from netslim.core.variables import data_folder, takes_unverified_data


@pytest.mark.parametrize(("value", "folder"), [(None, None), ("", None), ("there", Path("there"))])
def test_the_folder_of_the_data_sets(value: str | None, folder: Path | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NETSLIM_DATA_DIR", raising=False)
    if value is not None:
        monkeypatch.setenv("NETSLIM_DATA_DIR", value)
    assert data_folder() == folder


@pytest.mark.parametrize(("value", "taken"), [(None, False), ("", False), ("0", False), ("1", True)])
def test_unverified_data_is_taken_at_a_word(value: str | None, taken: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NETSLIM_UNVERIFIED_DATA", raising=False)
    if value is not None:
        monkeypatch.setenv("NETSLIM_UNVERIFIED_DATA", value)
    assert takes_unverified_data() == taken
