"""`netslim report` on real runs of a few tiny images."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from netslim.cli.app import main
from netslim.core.errors import ArgumentError, NetslimError, NetslimWarning, UsageError
from netslim.stages.report import run as report
from netslim.stages.report.config import ReportConfig
from report.pages import make


def marks(found: dict[str, Any]) -> dict[str, str]:
    return {check["title"]: check["mark"] for check in found["checks"]}


def test_both_networks_are_run_on_the_test_images(pruned: Path, trained: Path, folder: Path, tmp_path: Path) -> None:
    found, text = make(tmp_path / "page.html", pruned, data=folder)
    assert found["runs"] == [str(trained.resolve()), str(pruned)]
    images = found["images"]
    assert (images["dataset"], images["count"]) == ("folder", 8)
    assert images["small_right"] - images["only_small"] == images["large_right"] - images["only_large"]
    result = json.loads((pruned / "run.json").read_text())["result"]
    assert images["small_right"] / 8 == result["top1"] == found["accuracy"]
    assert images["large_right"] / 8 == result["top1_before"] == found["accuracy_before"]
    assert marks(found)["Each run starts from the file of the one before"] == "yes"
    assert "Confusion matrix of the small network" in text
    assert text.count("data:image/png;base64,") == images["only_large"]


def test_without_images_at_hand_the_page_says_so(pruned: Path, tmp_path: Path) -> None:
    found, text = make(tmp_path / "page.html", pruned, data=tmp_path)
    assert found["images"] is None
    assert found["no_images"].startswith("The networks were not run on images: ")
    assert "The networks were not run on images: " in text
    assert (
        make(tmp_path / "page.html", pruned, data=tmp_path, images=False)[0]["no_images"] == "Left out, as asked for."
    )


def test_a_changed_file_and_a_missing_one_are_noticed(pruned: Path, trained: Path, tmp_path: Path) -> None:
    for source in (trained, pruned):
        shutil.copytree(source, tmp_path / source.parent.name / source.name)
    mine = tmp_path / pruned.parent.name / pruned.name
    record = json.loads((mine / "run.json").read_text())
    record["parents"]["model"]["sha256"] = "0" * 64
    (mine / "run.json").write_text(json.dumps(record))
    found, _ = make(tmp_path / "page.html", mine, data=None, images=False)
    assert marks(found)["A file has changed since"] == "look"
    (mine / "pruned.pth.tar").unlink()
    found, text = make(tmp_path / "page.html", mine, data=None)
    assert "The file of the network after pruning is not there any more." in text


def test_another_network_in_the_place_of_the_measured_one_is_noticed(
    pruned: Path, folder: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "mine"
    shutil.copytree(pruned, mine)
    record = json.loads((mine / "run.json").read_text())
    right = record["result"]["top1"] = (record["result"]["top1"] + 0.5) % 1  # half of eight images is more than noise
    (mine / "run.json").write_text(json.dumps(record))
    found, text = make(tmp_path / "page.html", mine, data=folder)
    assert found["accuracy"] == found["images"]["small_right"] / 8 != right
    assert marks(found)["This file is not the one that was measured"] == "look"
    assert f'<p class="big">{100 * found["accuracy"]:.1f} %</p>' in text


def test_a_page_goes_where_it_is_wanted_and_over_nothing_else(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"the page is an HTML file: type a name that ends in \.html$"):
        make(tmp_path / "model_best.pth.tar", trained, data=None)
    (tmp_path / "page.html").write_text("mine")
    with pytest.raises(UsageError, match="is no page of netslim"):
        make(tmp_path / "page.html", trained, data=None)
    with pytest.raises(UsageError, match="name one folder of a run or several"):
        report.run(ReportConfig(folders=[]))
    assert (tmp_path / "page.html").read_text() == "mine"


def test_a_page_that_can_not_be_made_does_not_stop_a_longer_work(tmp_path: Path) -> None:
    with pytest.warns(NetslimWarning, match=r"report\.html was not written: .* holds no run of netslim"):
        assert report.make_page(tmp_path) is None


def test_damaged_records_are_an_error_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("[]")
    with pytest.raises(NetslimError, match=r"run\.json can't be read"):
        report.run(ReportConfig(folders=[tmp_path]))


def test_from_the_command_line_commands_can_be_pasted(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["report", str(trained), "--out", str(tmp_path / "a.html"), "--json", str(tmp_path / "a.json")])
    assert ended.value.code == 0
    assert f"wrote {tmp_path / 'a.html'}: 1 run; may I trust it?" in capsys.readouterr().out
    text = re.sub(r"</?span[^>]*>", "", (tmp_path / "a.html").read_text())
    assert " train --data-dir " in text
    assert " -sr --s 0.01 " in text
    assert json.loads((tmp_path / "a.json").read_text())["runs"] == [str(trained)]
