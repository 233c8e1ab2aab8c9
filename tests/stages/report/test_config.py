"""Settings of the page."""

from pathlib import Path

from netslim.stages.report.config import ReportConfig


def test_the_folders_are_read_and_the_page_is_written() -> None:
    config = ReportConfig(folders=[Path("a"), Path("b")], out=Path("page.html"))
    assert [use.path for use in config.reads()] == [Path("a"), Path("b")]
    assert [use.path for use in config.writes()] == [Path("page.html")]
    assert ReportConfig(folders=[Path("a")]).page == Path("a/report.html")
    assert [use.path for use in ReportConfig(folders=[Path("a")], bench=True).writes()] == [
        Path("a/report.html"),
        Path("a/bench"),
    ]
