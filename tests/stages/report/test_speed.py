"""Latency on the page: from a benchmark that is there, or measured."""

import os
from pathlib import Path

import pytest

from netslim.report.page.findings import Speed
from netslim.stages.report.config import ReportConfig
from netslim.stages.report.speed import known_speeds
from report.pages import make


@pytest.fixture
def networks(tmp_path: Path) -> tuple[Path, Path]:
    """Two files, and a benchmark of both beside the page that is wanted in their folder."""
    large, small = tmp_path / "large.pth", tmp_path / "small.pth"
    for file in (large, small):
        file.write_bytes(b"")
    (tmp_path / "bench").mkdir()
    write(tmp_path / "bench" / "bench.csv", (large, 4, 0.004), (small, 4, 0.001), (small, 1, 0.003))
    return large, small


def write(table: Path, *rows: tuple[Path, int, float]) -> None:
    lines = [f"{file},eager,{threads},8,{seconds},Some CPU" for file, threads, seconds in rows]
    table.write_text("\n".join(["file,engine,threads,batch_size,median_seconds,cpu", *lines]))


def known(large: Path, small: Path) -> tuple[Speed, ...]:
    folder = large.parent
    return known_speeds(ReportConfig(folders=[folder]), large, small, folder / "page.html")


def test_rows_of_both_networks_meet_where_engine_threads_and_batch_are_the_same(networks: tuple[Path, Path]) -> None:
    given = {"engine": "eager", "batch": 8, "hardware": "Some CPU", "source": "bench/bench.csv"}
    assert known(*networks) == (
        Speed(threads=4, before=0.004, after=0.001, **given),  # type: ignore[arg-type]
        Speed(threads=1, before=None, after=0.003, **given),  # type: ignore[arg-type]
    )


def test_a_benchmark_from_before_the_network_is_none_of_it(networks: tuple[Path, Path]) -> None:
    table = networks[0].parent / "bench" / "bench.csv"
    os.utime(networks[1], (2000, 2000))
    os.utime(table, (1000, 1000))
    assert known(*networks) == ()
    os.utime(table, (2000, 2000))
    assert len(known(*networks)) == 2


@pytest.mark.parametrize(("old", "new"), [("median_seconds", "seconds"), ("0.001", "soon"), ("0.001", "-1")])
def test_a_damaged_benchmark_is_no_latency(
    networks: tuple[Path, Path], old: str, new: str, capsys: pytest.CaptureFixture[str]
) -> None:
    table = networks[0].parent / "bench" / "bench.csv"
    table.write_text(table.read_text().replace(old, new))
    assert known(*networks) == ()
    assert f"{table} can't be read (" in capsys.readouterr().out


def test_a_benchmark_that_is_there_is_shown(pruned: Path, trained: Path, tmp_path: Path) -> None:
    rows = [
        f"{file},eager,1,1,{seconds},Some CPU"
        for file, seconds in ((trained / "model_best.pth.tar", 0.004), (pruned / "pruned.pth.tar", 0.001))
    ]
    table = tmp_path / "bench" / "bench.csv"
    table.parent.mkdir()
    table.write_text("\n".join(["file,engine,threads,batch_size,median_seconds,cpu", *rows]))
    _, text = make(tmp_path / "page.html", pruned, data=None, images=False)
    assert "4.00×" in text
    assert "Some CPU (bench/bench.csv)" in text
    table.write_text(table.read_text().replace("0.001", "nan"))
    assert "Latency is not measured" in make(tmp_path / "page.html", pruned, data=None, images=False)[1]


def test_what_is_timed_is_what_bench_is_asked_for(
    pruned: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr("netslim.stages.report.speed.bench", asked.append)
    _, text = make(tmp_path / "page.html", pruned, data=None, images=False, bench=True)
    assert [(config.files, config.save, config.engines) for config in asked] == [
        ([trained / "model_best.pth.tar", pruned / "pruned.pth.tar"], tmp_path / "bench", "eager")
    ]
    assert "Latency is not measured" in text


@pytest.mark.slow
def test_the_networks_are_timed_where_that_is_asked(
    pruned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netslim.stages.report.speed.SECONDS", 1e-3)
    _, text = make(tmp_path / "page.html", pruned, data=None, images=False, bench=True)
    assert "Latency, batch 1, eager" in text
    assert (tmp_path / "bench" / "bench.csv").exists()


def test_calls_that_differ_much_say_little(networks: tuple[Path, Path]) -> None:
    large, small = networks
    head = "file,engine,threads,batch_size,median_seconds,lower_quartile_seconds,upper_quartile_seconds,cpu"
    calm, busy = "0.004,0.0039,0.0042", "0.001,0.0009,0.02"
    for table, noisy in (
        ([(large, calm), (small, calm)], False),
        ([(large, calm), (small, busy)], True),
        (
            [(large, busy), (small, calm)],
            True,
        ),
    ):
        lines = [f"{file},eager,4,8,{seconds},Some CPU" for file, seconds in table]
        (large.parent / "bench" / "bench.csv").write_text("\n".join([head, *lines]))
        assert [speed.noisy for speed in known(large, small)] == [noisy]
