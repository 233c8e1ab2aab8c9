"""Run folders that are whole, old, half-finished or damaged."""

import json
from pathlib import Path

from page_runs import PLAN, epochs, write_run

from netslim.report.page.chain import runs_in
from netslim.report.page.run_folder import read_run


def test_a_run_has_a_title_for_people(chain: list[Path]) -> None:
    titles = [read_run(folder).title for folder in chain]
    assert titles == ["Training", "Training with the penalty", "Pruning", "Fine-tuning of the small network"]


def test_a_row_that_is_being_written_is_left_out(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", status="running", result=None, rows=epochs(0.5, 0.6))
    with (run / "metrics.jsonl").open("a") as stream:
        stream.write('{"epoch": 2, "to')
    found = read_run(run)
    assert (len(found.rows), found.finished, found.numbers.test_top1, found.problems) == (2, False, None, ())


def test_a_record_of_before_has_less_and_is_read(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    record = json.loads((run / "run.json").read_text())
    for name in ("settings", "warnings", "started", "versions", "commit"):
        del record[name]
    (run / "run.json").write_text(json.dumps(record))
    found = read_run(run).record
    assert (found.settings, found.warnings, found.commit) == (None, None, "unknown")


def test_parts_of_the_record_may_be_damaged(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", versions=3, result={"macs": "many"}, parents={"model": {"path": "a\0b"}})
    found = read_run(run)
    assert found.problems == (
        "run.json is damaged: versions: input should be a valid dictionary",
        "run.json is damaged: macs: input should be a valid integer",
    )
    assert (found.record.run_id, found.record.versions, found.numbers.macs) == ("1a2b", {}, None)
    assert [each.name for each in runs_in([run])] == ["run"]


def test_what_is_damaged_is_a_problem_and_no_error(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", "prune", plan={**PLAN, "groups": [{"name": 3}]})
    (run / "metrics.jsonl").write_text("nonsense\n")
    rows, plan = read_run(run).problems
    assert rows.startswith("metrics.jsonl is damaged: ")
    assert plan == "plan.json is damaged: groups.0.name: input should be a valid string"
