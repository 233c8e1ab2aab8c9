"""Settings of `netslim profile`."""

from pathlib import Path

from netslim.stages.profile.config import ProfileConfig


def test_what_is_written_and_read() -> None:
    config = ProfileConfig(model=Path("a.pth.tar"), export_to=Path("parts"), save=Path("t.json"))
    assert [use.path for use in config.reads()] == [Path("a.pth.tar")]
    assert [use.path for use in config.writes()] == [Path("parts"), Path("t.json")]
