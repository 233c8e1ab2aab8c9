"""Tables and numbers in words."""

import pytest

from netslim.report.tables import percent, print_table, size


def test_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["layer", "kept"], [("bn", 1234), ("layer1", 5)])
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert next(line.split() for line in lines if line) == ["layer", "kept"]
    assert "1,234" in "\n".join(lines)
    assert lines[-2 if not lines[-1] else -1].endswith("    5")


def test_an_empty_table_has_its_head(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["a", "b"], [])
    assert capsys.readouterr().out.split()[:2] == ["a", "b"]


def test_numbers_in_words() -> None:
    assert percent(0.9731) == "97.31 %"
    assert percent(0.12345, 1) == "12.3 %"
    assert [size(number) for number in (999, 1_500, 1_703_258, 5e9)] == ["999", "1.50k", "1.70M", "5.00G"]
