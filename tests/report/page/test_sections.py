"""The values that the page's sections are written from."""

from pathlib import Path

import pytest
from page_runs import page, seen, write_run

from netslim.report.page.chain import runs_in
from netslim.report.page.findings import Findings
from netslim.report.page.sections import (
    PUSHED,
    Compared,
    accuracy_drawing,
    compared,
    drawn_stages,
    phase_rows,
    scales_section,
)
from netslim.report.page.story import Story


def told(folder: Path, findings: Findings | None = None) -> Story:
    return Story(tuple(runs_in([folder])), findings or Findings())


def test_scales_say_when_they_parted(chain: list[Path]) -> None:
    text = page(chain[1]).text
    assert "They parted in two in epoch 2 of phase 1 (training)" in text


def test_what_is_left_is_a_share_and_how_many_times_less(chain: list[Path]) -> None:
    rows = compared(told(chain[-1], seen("a", "b")))
    assert rows == [
        Compared("Parameters", "1,000", "400", 0.4),
        Compared("MACs per image", "5,000", "1,000", 0.2),
        Compared("File (bytes)", "1,000", "500", 0.5),
        Compared("Latency, batch 1, eager, 1 thread", "4.00 ms", "2.00 ms", 0.5),
    ]
    assert [row.times for row in rows] == ["2.50×", "5.00×", "2.00×", "2.00×"]


def test_a_network_that_was_not_cut_is_compared_with_nothing(chain: list[Path]) -> None:
    (params, macs) = compared(told(chain[0]))
    assert (params, macs) == (
        Compared("Parameters", "1,000", "—", None),
        Compared("MACs per image", "5,000", "—", None),
    )
    assert params.times == ""


def test_phases_are_numbered_and_say_what_they_came_to(chain: list[Path]) -> None:
    rows = phase_rows(told(chain[-1]))
    assert [(row.number, row.run.name, row.accuracy, row.before) for row in rows] == [
        (1, "dense", "90.00 %", ""),
        (2, "sparse", "90.00 %", ""),
        (3, "pruned", "80.00 %", "91.00 %"),
        (4, "fine", "90.00 %", ""),
    ]


def test_a_drawing_says_in_words_what_each_phase_came_to(chain: list[Path]) -> None:
    drawn = accuracy_drawing(told(chain[-1]))
    assert drawn
    for each in (drawn.wide, drawn.narrow):
        assert "top-1 over the epochs of 4 phases: Training, test 90.0 %; Training with the penalty, test" in each
    plan = told(chain[-1]).plan
    assert plan
    assert [(each.stage.name, len(each.blocks)) for each in drawn_stages(plan)] == [("layer1", 1), ("", 1)]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (
            [{"epoch": 0, "near_zero_scales": 0.25}],
            "No histograms were recorded; training with the penalty: 25.0 % under 0.01 at its end.",
        ),
        ([{"epoch": 0}], "No histograms were recorded."),
        (
            [{"epoch": 0, "scale_histogram": [1, 2]}],
            "They have not parted in two in any epoch: the cut goes through a crowd.",
        ),
    ],
)
def test_scales_that_were_not_recorded_or_did_not_part(
    tmp_path: Path, rows: list[dict[str, object]], sentence: str
) -> None:
    config = {"sparsity_regularization": True}
    found = scales_section(told(write_run(tmp_path / "run", rows=rows, config=config)))
    assert found
    assert found.sentence == f"{PUSHED} {sentence}"
    assert (found.drawn is not None) == ("scale_histogram" in rows[0])


def test_scales_that_no_penalty_pushed_are_not_said_to_be_pushed(tmp_path: Path) -> None:
    found = scales_section(told(write_run(tmp_path / "run", rows=[{"epoch": 0, "scale_histogram": [1, 2]}])))
    assert found
    assert found.sentence == "No penalty was on: what nothing pushes towards zero says little of which channels can go."
    text = page(tmp_path / "run").text
    assert found.sentence in text
    assert "penalty pushes" not in text
    assert "BatchNorm scales" not in page(write_run(tmp_path / "none", rows=[{"epoch": 0}])).text


def test_without_any_value_nothing_is_drawn(tmp_path: Path) -> None:
    assert accuracy_drawing(told(write_run(tmp_path / "run", result={}))) is None
