"""Tables as files."""

from pathlib import Path

from netslim.report.csv_files import write_csv


def test_a_csv_has_every_column_and_leaves_what_is_missing_empty(tmp_path: Path) -> None:
    write_csv(tmp_path / "rows.csv", [{"a": 1, "b": 1 / 3}, {"a": "x, y", "c": 2}])
    assert (tmp_path / "rows.csv").read_text() == 'a,b,c\n1,0.333333,\n"x, y",,2\n'
