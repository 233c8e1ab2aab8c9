"""The commands on the page: all that made its networks, or which file is given."""

from pathlib import Path

from page_runs import page, write_run
from test_whole import page as page_of
from test_whole import write_slim

from netslim.report.page.again import Again, again
from netslim.report.page.chain import runs_in
from netslim.report.page.findings import Findings, Transferred
from netslim.report.page.story import Story


def begun_from_a_file(root: Path) -> Path:
    parent = {"resume": {"path": "runs/transferred.pth.tar", "sha256": "00ff"}}
    return write_run(root / "begun" / "fine", parents=parent, settings={"epochs": 2})


def test_a_file_that_no_command_makes_is_named(tmp_path: Path, chain: list[Path]) -> None:
    text = page(begun_from_a_file(tmp_path)).text
    assert "They begin with runs/transferred.pth.tar, which none of them makes." in text
    assert "They begin with" not in page(chain[-1]).text


def test_a_transfer_comes_first(tmp_path: Path) -> None:
    came = Transferred(
        source="timm resnet50", strategy="select", coverage=0.5, layers=(), images=0, command="netslim transfer"
    )
    told = Story(tuple(runs_in([begun_from_a_file(tmp_path)])), Findings(transferred=came))
    fine = Again("Fine-tuning", "fine", "netslim train --set=epochs=2")
    assert again(told) == [Again("Transfer", "", "netslim transfer"), fine]


def test_a_finished_slim_has_all_that_its_steps_did(tmp_path: Path) -> None:
    commands = [["netslim transfer", "netslim export 1"], ["netslim transfer", "netslim export 2"]]
    root = write_slim(tmp_path / "mine", "seed-1", "seed-2", result={"commands": commands})
    for folder, number in ((root, 1), (root / "seed-1", 1), (root / "seed-2", 2)):
        text = page_of(folder).text
        assert "The commands of all steps" in text
        assert "All of it netslim slim --set=seeds=1,2 --set=prune.percent=0.5" in text
        assert f"Or step 1 alone netslim transfer Or step 2 alone netslim export {number}" in text
        assert f"netslim export {3 - number}" not in text


def test_a_slim_that_is_not_finished_has_those_of_its_runs(tmp_path: Path) -> None:
    text = page_of(write_slim(tmp_path / "mine", ".", status="running")).text
    assert "The commands of all runs on this page" in text
    assert "Fine-tuning of the small network fine netslim train" in text
