"""The page itself: whole in one file, whatever the folders hold."""

import html
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from page_runs import PLAN, epochs, page, seen, write_run

from netslim.report.page.chain import runs_in
from netslim.report.page.render import GENERATOR, page_text

HOSTILE = "</style><script>alert(1)</script><img src=x onerror=alert(1)>\"'&"


def test_the_first_screen_answers_four_questions(chain: list[Path]) -> None:
    text = page(chain[-1]).text
    for words in (
        "7 of 16 channels are left, and test top-1 went from 91.0 % to 90.0 %.",
        "How small? 40 % of the parameters: 400 of 1 k",
        "How much work? 20 % of the MACs: 1 k of 5 k; latency not measured",
        "How accurate? 90.0 % test top-1, −1.0 points from before; 95 %: 82.6 % to 94.5 %",
        "May I trust it? Yes 6 checks hold, 1 not known",
    ):
        assert words in text


def test_a_latency_is_on_the_first_screen_where_it_is_steady(chain: list[Path]) -> None:
    found = seen("a", "b")
    assert "How fast? 2.00× as fast at batch 1, with 20 % of the MACs" in page(chain[-1], findings=found).text
    unsteady = replace(found, speeds=(replace(found.speeds[0], noisy=True),))
    text = page(chain[-1], findings=unsteady).text
    assert "1 k of 5 k; latency too unsteady to tell" in text
    assert "Some calls took more than twice as long as others" in text


def test_a_page_needs_nothing_from_anywhere(chain: list[Path]) -> None:
    text = page_text(runs_in([chain[-1]]), seen("a", "b"))
    assert GENERATOR in text[:200]
    assert "<script" not in text
    for address in re.findall(r"""(?:src|href|srcset|xlink:href|action)\s*=\s*["']([^"']*)""", text):
        assert address.startswith("data:")
    assert not re.search(r"url\(|@import|https?://", text)


def test_every_drawing_and_picture_is_told_in_words(chain: list[Path]) -> None:
    found = page(chain[-1], findings=seen("a", "b"))
    drawings = [each for each in found.all("svg") if "viewbox" in each and "x" not in each]
    assert len(drawings) == 2 + 2 * 2  # blocks; accuracy and scales, each for wide and narrow screens
    assert all(each["role"] == "img" and each["aria-label"] for each in drawings)
    assert "layer1 0: bn1 2 of 4, bn2 4 of 4 channels kept" in [each["aria-label"] for each in drawings]
    assert [each["alt"] for each in found.all("img")] == ["Test image 7, a: the small network says b"]


def test_names_from_files_are_text_and_nothing_else(tmp_path: Path) -> None:
    run = write_run(
        tmp_path / "<b>run & co",
        "prune",
        config={"dataset": HOSTILE, HOSTILE: HOSTILE, "arch": HOSTILE},
        parents={HOSTILE: {"path": HOSTILE, "sha256": HOSTILE}, "model": {"path": HOSTILE}},
        versions={HOSTILE: HOSTILE},
        commit=HOSTILE,
        warnings=[HOSTILE],
        run_id=HOSTILE,
        started=HOSTILE,
        settings={HOSTILE: HOSTILE},
        result={"top1": 0.5, "metric_name": HOSTILE},
        rows=epochs(0.5),
        plan={
            **PLAN,
            "arch": {"name": HOSTILE, "arguments": {"depth": HOSTILE}},
            "groups": [{"name": f"{HOSTILE}.0.{HOSTILE}", "total": 4, "keep": [0]}],
            "notes": [HOSTILE],
            "clamped": [HOSTILE],
            "criterion": HOSTILE,
            "budget": {"kind": HOSTILE, "asked": HOSTILE},
            "left_alone": [{"name": HOSTILE, "channels": 1, "reason": HOSTILE}],
        },
    )
    found = page(run, findings=seen(HOSTILE, f"{HOSTILE}2"))
    assert not found.all("script")
    assert len(found.all("img")) == 1
    assert all(not name.startswith("on") for _, attributes in found.elements for name in attributes)
    assert "<b>run & co" in found.text
    assert not found.open


@pytest.mark.parametrize("status", ["new", "running"])
def test_a_half_finished_run_says_so(tmp_path: Path, status: str) -> None:
    run = write_run(tmp_path / "run", status=status, result=None, rows=epochs(0.5))
    text = page(run).text
    assert "The last run is not finished." in text
    assert "run (1 of 2 epochs)." in text
    assert "How accurate? 50.0 % best epoch so far, on the images that choose it; no test images yet" in text


def test_runs_without_plan_rows_or_result_have_a_page(tmp_path: Path) -> None:
    text = page(write_run(tmp_path / "bare", result={}, config={}, versions={}, commit="unknown")).text
    assert "Nothing has been pruned yet" in text
    assert "BatchNorm scales" not in text


def test_a_metric_of_ones_own_is_a_number(tmp_path: Path) -> None:
    result = {"metric_name": "mean_absolute_error", "best_metric": 0.2, "test_metric": 1.234567, "params": 10}
    rows = [{"epoch": at, "metric": value} for at, value in enumerate((3.0, 1.3))]
    text = page(write_run(tmp_path / "run", result=result, rows=rows)).text
    assert "How accurate? 1.235 test mean_absolute_error" in text


def test_a_metric_is_shown_as_its_task_shows_it(tmp_path: Path) -> None:
    shown = {"label": "mean IoU", "test": "70.63 %"}
    result = {"metric_name": "mean_iou", "best_metric": 0.7, "test_metric": 0.7063, "shown": shown}
    assert "How accurate? 70.6 % test mean IoU" in page(write_run(tmp_path / "run", result=result)).text


def test_an_old_run_has_its_settings_as_a_command(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    record = json.loads((run / "run.json").read_text())
    del record["settings"], record["warnings"]
    (run / "run.json").write_text(json.dumps(record))
    text = page(run).text
    assert "netslim train --set=arch=resnet --set=dataset=digits" in text
    assert "not recorded by every run" in text


def test_a_network_of_many_layers_stays_readable(tmp_path: Path) -> None:
    groups = [
        {"name": f"layer{n // 54}.{n // 3 % 18}.bn{n % 3}", "total": 256, "keep": [*range(n)]} for n in range(162)
    ]
    run = write_run(tmp_path / "run", "prune", plan={**PLAN, "groups": groups}, result={"top1": 0.5})
    text = page_text(runs_in([run]))
    assert text.count('class="drawing block"') == 54
    assert len(text) < 250_000


def test_a_command_breaks_before_its_flags_and_is_copied_as_it_is(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", settings={"a_b": "<x>", "c": "d -e"})
    text = page_text(runs_in([run]))
    (line,) = re.findall(r"<pre>(.*netslim train.*)</pre>", text)
    assert html.unescape(re.sub(r"</?span[^>]*>", "", line)) == "netslim train '--set=a_b=<x>' '--set=c=d -e'"
    assert line.startswith('<span class="word">netslim train')


def test_cells_of_wide_tables_have_a_name_where_they_are_stacked(chain: list[Path]) -> None:
    text = page_text(runs_in([chain[-1]]), seen("a", "b"))
    tables = re.findall(r'<table class="stack">.*?</table>', text, re.DOTALL)
    assert len(tables) == 2
    for table in tables:
        heads = [head.lower() for head in re.findall(r'<th scope="col"[^>]*>([^<]*)</th>', table)]
        rows = re.findall(r"<tr><th scope=\"row\">.*?</tr>", table, re.DOTALL)
        assert rows
        for row in rows:
            assert [name.lower() for name in re.findall(r'<td[^>]* data-label="([^"]*)"', row)] == heads[1:]
