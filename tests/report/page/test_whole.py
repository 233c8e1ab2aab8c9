"""The page of a whole `netslim slim`: its name, what is left to do, the means of several."""

import json
from pathlib import Path
from typing import Any

import pytest
from page_runs import Parsed, write_chain

from netslim.report.page.beside import write_beside
from netslim.report.page.whole import whole_of

MEANS = {"columns": ["seeds", "small test top-1 (%)"], "rows": [["2", "90.00 ± 1.00"]]}
EACH = {"columns": ["seed", "small test top-1 (%)"], "rows": [["1", "89.00"], ["2", "91.00"]]}


def write_slim(root: Path, *folders: str, **record: Any) -> Path:
    """A `netslim slim` with a chain of runs in each folder."""
    for folder in folders:
        write_chain(root / folder)
    found = {"status": "finished", "settings": {"seeds": "1,2", "prune.percent": 0.5}, "folders": [*folders], **record}
    (root / "slim.json").write_text(json.dumps(found))
    return root


def page(folder: Path) -> Parsed:
    target = write_beside(folder)
    assert target
    return Parsed(target.read_text())


def test_it_is_called_after_the_whole_run(tmp_path: Path) -> None:
    root = write_slim(tmp_path / "mine", ".")
    assert "resnet, depth 11 · digits mine 7 of 16 channels are left" in page(root).text
    assert "resnet, depth 11 · digits fine 7 of 16 channels are left" in page(root / "fine").text


@pytest.mark.parametrize("above", [True, False], ids=["all", "one"])
def test_several_have_their_means_on_the_page_of_all_and_of_each(tmp_path: Path, above: bool) -> None:
    root = write_slim(tmp_path / "mine", "seed-1", "seed-2", result={"means": MEANS, "each": EACH})
    text = page(root if above else root / "seed-2").text
    assert "Means of all 2" in text
    assert "90.00 ± 1.00" in text
    assert ("This is seed-1, one of 2; all are below." in text) == above
    assert ("2 seeds holds 1,2: their means are above" in text) == above
    assert ("mine: seed-2" in text) != above


def test_a_half_finished_one_says_how_to_go_on(tmp_path: Path) -> None:
    text = page(write_slim(tmp_path / "mine", ".", status="running")).text
    assert "Not all steps are done. Half-finished; it goes on with: netslim slim --set=seeds=1,2" in text
    assert "Half-finished" not in page(tmp_path / "mine" / "fine").text  # it has nothing left to do itself


@pytest.mark.parametrize("text", ["", "[]", '{"folders": 1}', '{"result": {"means": 3}}'])
def test_a_damaged_record_is_no_reason_for_no_page(tmp_path: Path, text: str) -> None:
    root = write_slim(tmp_path / "mine", ".")
    (root / "slim.json").write_text(text)
    assert whole_of(root) is None
    assert "fine 7 of 16 channels are left" in page(root).text


def test_a_folder_that_is_no_variants_is_a_run_of_its_own(tmp_path: Path) -> None:
    root = write_slim(tmp_path / "mine", "seed-1", "seed-2")
    assert whole_of(root / "seed-1" / "fine") is None
