"""Sweeps and sensitivity analyses on a page of their own, and on that of the network they are of."""

import json
from pathlib import Path

from page_runs import DENSE, Parsed, sensitivity, sweep, write_run

from netslim.report.page.beside import write_beside


def page(folder: Path) -> Parsed:
    target = write_beside(folder)
    assert target
    return Parsed(target.read_text())


def test_a_sweep_has_a_line_per_criterion_and_repair(tmp_path: Path) -> None:
    found = page(sweep(tmp_path / "sweep"))
    assert "2 pruned networks beside the unpruned one, judged on 100 training images" in found.text
    assert "bn_scale, right after pruning bn_scale, recalibrated l1, right after pruning" in found.text
    assert len(found.all("polyline")) == 2 * 4  # for desks and phones
    assert "0.5 l1 50.0 % 400 (40 %) 2,000 (40 %) 40.00 % 50.00 %" in found.text
    assert "latency" not in found.text


def test_the_most_sensitive_layer_comes_first_and_its_name_is_text(tmp_path: Path) -> None:
    found = page(sensitivity(tmp_path / "sensitivity"))
    assert "<b> 8 60.00 % 60.00 % 20.0 % conv1 8 89.00 % 89.00 % 20.0 %" in found.text
    assert "lost without 50 % of the layer's channels without 25 %" in found.text


def test_a_half_finished_one_has_what_there_is_and_how_to_go_on(tmp_path: Path) -> None:
    folder = sweep(tmp_path / "sweep", status="running", result=None)
    assert "It is not finished. Half-finished; it goes on with: netslim sweep" in page(folder).text
    (folder / "metrics.jsonl").write_text(json.dumps({"key": "unpruned", **DENSE}) + "\n")
    text = page(folder).text
    assert "0 pruned networks" in text
    assert "unpruned" in text


def test_on_a_page_of_a_network_it_is_a_section(tmp_path: Path) -> None:
    write_run(tmp_path / "dense")
    write_run(tmp_path / "other", started="2026-01-02T00:00:00+00:00")
    sweep(tmp_path / "sweep")
    text = page(tmp_path).text
    assert "What each budget costs sweep" in text
    assert "May I trust it?" in text
