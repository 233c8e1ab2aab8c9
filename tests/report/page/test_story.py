"""What runs came to, read as one piece of work."""

from pathlib import Path
from typing import Any

import pytest
from page_runs import epochs, page, seen, sweep, write_run

from netslim.report.page.chain import runs_in
from netslim.report.page.findings import Findings
from netslim.report.page.story import Story
from netslim.report.page.wilson import wilson_interval


def told(*folders: Path, findings: Findings | None = None) -> Story:
    return Story(tuple(runs_in([*folders])), findings or Findings())


def test_before_and_after_are_the_plans_and_the_last_networks(chain: list[Path]) -> None:
    found = told(chain[-1])
    assert [run.name for run in found.cuts] == ["pruned"]
    assert (found.params, found.macs) == ((1000, 400), (5000, 1000))
    assert (found.accuracy_before, found.accuracy) == (0.91, 0.9)
    assert found.interval == wilson_interval(0.9, 100)
    assert (found.network, found.dataset, found.title) == ("resnet, depth 11", "digits", "fine")
    assert (found.finished, found.go_on, found.so_far) == (True, "", None)


def test_a_network_that_was_not_cut_has_nothing_after(chain: list[Path]) -> None:
    found = told(chain[0])
    assert (found.plan, found.params, found.macs) == (None, (1000, None), (5000, None))
    assert (found.accuracy_before, found.accuracy) == (None, 0.9)


def test_runs_that_did_not_lead_to_the_last_network_are_the_others(chain: list[Path], tmp_path: Path) -> None:
    write_run(tmp_path / "another", started="2025-01-01T00:00:00+00:00")
    found = told(tmp_path)
    assert found.last.name == "fine"
    assert [run.name for run in found.others] == ["another"]


def test_a_half_finished_run_has_its_best_so_far_and_how_to_go_on(tmp_path: Path) -> None:
    found = told(write_run(tmp_path / "run", status="running", result=None, rows=epochs(0.5, 0.7, 0.6)))
    assert (found.finished, found.accuracy, found.interval, found.so_far) == (False, None, None, 0.7)
    assert found.go_on.startswith("netslim train ")


def test_a_page_of_trials_is_called_after_them(tmp_path: Path) -> None:
    assert told(write_run(tmp_path / "run")).trial is None
    found = told(sweep(tmp_path / "sweep"))
    assert found.trial
    assert (found.trial.name, found.title) == ("sweep", "sweep")


@pytest.mark.parametrize(
    ("result", "findings", "count", "sure"),
    [
        ({"test_top1": 0.9, "test_images": 50}, seen("a", "b"), 50, True),
        ({"test_top1": 0.9}, seen("a", "b"), 100, True),
        ({"test_top1": 0.9}, None, None, False),
        ({"test_metric": 0.9, "metric_name": "psnr", "test_images": 50}, None, 50, False),
    ],
    ids=["its own count", "counted since", "nobody counted", "no share"],
)
def test_how_sure_an_accuracy_is_depends_on_how_many_images_there_are(
    tmp_path: Path, result: dict[str, Any], findings: Findings | None, count: int | None, sure: bool
) -> None:
    found = told(write_run(tmp_path / "run", result=result), findings=findings)
    assert found.test_images == count
    assert found.interval == (wilson_interval(0.9, count) if sure and count else None)


def test_a_network_from_a_file_is_not_called_what_one_is_by_default(tmp_path: Path) -> None:
    parent = {"resume": {"path": "net.pth.tar", "sha256": "00ff"}}
    arch = {"name": "vgg", "arguments": {"depth": 16, "num_classes": 10}}
    config = {"arch": "resnet", "depth": None, "dataset": "digits"}
    done = write_run(tmp_path / "done", parents=parent, config=config, result={"arch": arch})
    assert told(done).network == "vgg, depth 16"
    assert "arch vgg depth 16 dataset digits" in page(done).text
    cut = write_run(tmp_path / "cut", parents=parent, config=config, result=None, status="running")
    assert told(cut).network == "a network"
    assert "arch that of net.pth.tar depth None dataset digits" in page(cut).text
