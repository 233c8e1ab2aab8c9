"""The card of a network at the hub."""

import json
import shutil
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from netslim.core.checkpoint import read_checkpoint
from netslim.network import load
from netslim.report.tables import percent
from netslim.stages.push.card import card_of, judged_in

BEST = "model_best.pth.tar"


def card(path: Path, license: str | None = None) -> ModelCard:
    return ModelCard(card_of(load(path), read_checkpoint(path), path, "me/small", license))


def test_what_the_hub_reads_of_a_trained_network(trained: Path) -> None:
    data = card(trained / BEST, "apache-2.0").data
    found = json.loads((trained / "run.json").read_text())["result"]["test_top1"]
    assert (data.license, data.library_name, data.datasets) == ("apache-2.0", "netslim", ["folder"])
    assert data.eval_results is not None
    assert data.eval_results[0].metric_value == found


def test_size_and_origin_of_a_pruned_network(pruned: Path) -> None:
    text, plan = card(pruned / "pruned.pth.tar").text, load(pruned / "pruned.pth.tar").plan
    assert plan is not None
    result = json.loads((pruned / "run.json").read_text())["result"]
    assert f"| {percent(result['top1'])} of {result['test_images']} test images |" in text
    assert f"| parameters | {plan.after.params:,} of {plan.before.params:,} |" in text
    assert f"| multiply-adds | {plan.after.macs:,} of {plan.before.macs:,} |" in text
    assert "Last step: `netslim prune`" in text
    assert "`model`: SHA-256 `" in text
    assert str(pruned) not in text


def test_a_figure_that_chose_itself_is_called_so(trained: Path, tmp_path: Path) -> None:
    for name in (BEST, "run.json"):
        shutil.copy(trained / name, tmp_path)
    record = json.loads((tmp_path / "run.json").read_text())
    record["result"] |= {"selected_on": "test", "test_images": 8, "test_top1": 0.75}
    (tmp_path / "run.json").write_text(json.dumps(record))
    assert "| 75.00 % of 8 test images, which also chose the network: too good a figure |" in card(tmp_path / BEST).text


def test_a_file_without_a_record(trained: Path, tmp_path: Path) -> None:
    shutil.copy(trained / BEST, tmp_path)
    assert judged_in(tmp_path / BEST) is None
    assert "No accuracy is recorded beside the file" in card(tmp_path / BEST).text


@pytest.mark.parametrize("name", ["checkpoint.pth.tar", "other.pth.tar"])
def test_the_record_is_of_the_chosen_network_alone(trained: Path, name: str) -> None:
    assert judged_in(trained / name) is None
