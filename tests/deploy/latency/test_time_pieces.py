"""The script that goes to other machines."""

from pathlib import Path

import pytest

from netslim.deploy.latency import time_pieces


def test_timing_goes_on_where_it_stopped(tmp_path: Path) -> None:
    time_pieces.write(tmp_path / "times.csv", {"a.onnx": 0.25})
    assert time_pieces.read(tmp_path / "times.csv") == {"a.onnx": 0.25}
    assert time_pieces.read(tmp_path / "none.csv") == {}


def test_of_two_calls_in_a_row_the_second_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that the calls themselves move: the first of a pair takes 100 s, the second as long as it is told."""
    now, asked = [0.0], list[str]()
    monkeypatch.setattr(time_pieces.time, "perf_counter", lambda: now[0])

    def call(name: str, seconds: list[float]) -> None:
        asked.append(name)
        now[0] += 100.0 if asked.count(name) % 2 else seconds.pop(0)

    first, second = [4.0, 1.0, 3.0, 2.0, 5.0], [10.0] * 5
    found = time_pieces.in_turns([lambda: call("a", first), lambda: call("b", second)], 5)
    assert asked == ["a", "a", "b", "b"] * 5
    assert found == [1.5, 10.0]  # of 1 to 5 the lower quartile


def test_lines_of_a_comment_are_no_times(tmp_path: Path) -> None:
    (tmp_path / "times.csv").write_text("# processor: phone\nfile,seconds\n0001.onnx,0.5\n# again\n0002.onnx,0.25\n")
    assert time_pieces.read(tmp_path / "times.csv") == {"0001.onnx": 0.5, "0002.onnx": 0.25}
