"""The page beside a run is written, or a line says why not; nothing fails for it."""

from pathlib import Path

import pytest
from page_runs import write_run

from netslim.core.errors import NetslimWarning, UsageError
from netslim.report.page.beside import check_replaceable, write_beside, write_missing
from netslim.report.page.render import GENERATOR


def test_a_page_is_written_and_replaced_by_the_next_one(chain: list[Path]) -> None:
    page = write_beside(chain[-1])
    assert page == chain[-1] / "report.html"
    first = page.read_bytes()
    assert GENERATOR.encode() in first
    assert write_beside(chain[-1]) == page
    assert page.read_bytes() == first


def test_another_file_of_that_name_stays(chain: list[Path]) -> None:
    (chain[-1] / "report.html").write_text("my thesis")
    with pytest.warns(NetslimWarning, match=r"report\.html was not written: .* is no page of netslim: move it away"):
        assert write_beside(chain[-1]) is None
    assert (chain[-1] / "report.html").read_text() == "my thesis"
    with pytest.raises(UsageError, match="is there already, and is no page of netslim"):
        check_replaceable(chain[-1] / "report.html")


def test_whatever_goes_wrong_is_one_line(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    (run / "run.json").write_text("{")
    with pytest.warns(NetslimWarning, match=r"^.*report\.html was not written: .*run\.json can't be read"):
        assert write_beside(run) is None


def test_a_folder_that_can_not_be_written_to_is_one_line(chain: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("netslim.core.files.DISK.open", full)
    with pytest.warns(NetslimWarning, match=r"No space left on device; report\.html is as it was: free some space"):
        assert write_beside(chain[-1]) is None
    assert not (chain[-1] / "report.html").exists()


def test_a_missing_page_alone_is_written(chain: list[Path]) -> None:
    page = chain[-1] / "report.html"
    write_missing(chain[-1])
    assert GENERATOR.encode() in page.read_bytes()
    page.write_text("my thesis")
    write_missing(chain[-1])
    assert page.read_text() == "my thesis"
