"""What speaks for the numbers, and what does not."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from page_runs import epochs, write_chain, write_run

from netslim.report.page.chain import runs_in
from netslim.report.page.findings import Findings, HashCheck, Images
from netslim.report.page.story import Story
from netslim.report.page.trust import Check, checks_of, verdict
from netslim.report.page.whole import Whole, WholeFile


def found(folder: Path, findings: Findings | None = None) -> dict[str, Check]:
    return {check.title: check for check in checks_of(Story(tuple(runs_in([folder])), findings or Findings()))}


@pytest.mark.parametrize(("status", "mark"), [("running", "look"), ("finished", "yes")])
def test_a_whole_of_which_steps_are_missing_is_looked_at(chain: list[Path], status: str, mark: str) -> None:
    """Each of its runs came to its end."""
    whole = Whole(folder=chain[-1], variant="", file=WholeFile(status=status))
    complete = checks_of(Story(tuple(runs_in([chain[-1]])), Findings(), whole))[0]
    titles = {"look": "Not all steps are done", "yes": "Every run came to its end"}
    assert (complete.mark, complete.title) == (mark, titles[mark])


def images(only_large: int, only_small: int) -> Findings:
    return Findings(
        images=Images(
            dataset="digits",
            count=100,
            class_names=("a", "b"),
            confusion=((50, 0), (0, 50)),
            small_right=90,
            large_right=91,
            only_large=only_large,
            only_small=only_small,
            examples=(),
        )
    )


def test_a_chain_without_fault_is_trusted(chain: list[Path]) -> None:
    checks = found(chain[-1])
    assert {title: check.mark for title, check in checks.items()} == {
        "Every run came to its end": "yes",
        "The rebuilt network is the masked one": "yes",
        "Accuracy is counted on test images": "yes",
        "Test images chose nothing": "yes",
        "One seed": "open",
        "All runs are of one commit": "yes",
        "netslim warned of nothing": "yes",
    }
    assert "90.0 % of 100 test images" in checks["Accuracy is counted on test images"].detail
    assert "between 82.6 % and 94.5 % (Wilson)" in checks["Accuracy is counted on test images"].detail
    assert verdict([*checks.values()]) == ("Yes", "6 checks hold, 1 not known")


@pytest.mark.parametrize(
    ("change", "title"),
    [
        ({"status": "running"}, "A run is not finished"),
        ({"commit": "abcdef012345+"}, "The code had local changes"),
        ({"commit": "000000000000"}, "The runs are of different code"),
        ({"warnings": ["only 1 channel is left"]}, "netslim warned"),
        ({"config": {"select_on": "test", "seed": 1}}, "Test images chose the model"),
    ],
)
def test_each_fault_is_named_on_top(chain: list[Path], change: dict[str, Any], title: str) -> None:
    write_run(chain[-1], parents={"refine": {"path": str(chain[2] / "pruned.pth.tar")}}, **change)
    checks = found(chain[-1])
    assert checks[title].mark == "look"
    answer, why = verdict([*checks.values()])
    assert answer == "With care"
    assert why.startswith(f"1 to look at: {title.lower()}; ")


def test_both_networks_on_the_same_images_are_compared(chain: list[Path]) -> None:
    assert found(chain[-1], images(3, 2))["The small network is not shown to be worse"].mark == "yes"
    worse = found(chain[-1], images(9, 1))["The small network is worse"]
    assert (worse.mark, worse.detail.split("test: ")[1]) == ("look", "p = 0.021)")
    assert found(chain[-1], images(1, 9))["The small network is not shown to be worse"].mark == "yes"


@pytest.mark.parametrize(
    ("right", "count", "dataset", "now"),
    [
        *[(0, 100, "digits", 0.0), (87, 100, "digits", 0.87), (100, 100, "digits", 1.0)],
        *[(88, 100, "digits", None), (92, 100, "digits", None), (0, 99, "digits", None), (0, 100, "others", None)],
    ],
)
def test_a_file_that_is_not_the_measured_one_is_noticed(
    chain: list[Path], right: int, count: int, dataset: str, now: float | None
) -> None:
    """0.9 of 100 images of digits is recorded; two images more or less are numerical noise."""
    seen = images(0, 0).images
    assert seen is not None
    findings = Findings(images=replace(seen, small_right=right, count=count, dataset=dataset))
    title = "This file is not the one that was measured"
    assert Story(tuple(runs_in([chain[-1]])), findings).accuracy == (0.9 if now is None else now)
    checks = found(chain[-1], findings)
    if now is None:
        assert title not in checks
        return
    assert checks[title].mark == "look"
    assert checks[title].detail.startswith(f"recorded 90.0 %, now {100 * now:.1f} % of the same 100 test images")
    assert f"{100 * now:.1f} % of 100 test images" in checks["Accuracy is counted on test images"].detail
    assert verdict([*checks.values()])[1].startswith(f"1 to look at: {title.lower()}; ")


def test_of_many_images_the_noise_is_a_share(tmp_path: Path) -> None:
    write_run(tmp_path / "run", result={"test_top1": 0.9, "test_images": 10_000})
    seen = images(0, 0).images
    assert seen is not None
    told = [
        Story(tuple(runs_in([tmp_path / "run"])), Findings(images=replace(seen, count=10_000, small_right=right)))
        for right in (8980, 8979)
    ]
    assert [each.contradicted for each in told] == [None, 0.8979]


def test_a_file_that_has_changed_is_named(chain: list[Path]) -> None:
    hashes = tuple(HashCheck(path=name, sha256="00", same=same) for name, same in (("a", True), ("b", False)))
    assert found(chain[-1], Findings(hashes=hashes))["A file has changed since"].detail == "b"
    gone = (HashCheck(path="a", sha256="00", same=None),)
    assert found(chain[-1], Findings(hashes=gone))["Each run starts from the file of the one before"].mark == "open"


def test_seeds_of_several_chains_are_counted(tmp_path: Path) -> None:
    write_chain(tmp_path)
    write_run(tmp_path / "other", config={"seed": 2})
    assert found(tmp_path)["2 seeds"].mark == "yes"


@pytest.mark.parametrize(
    ("after", "best", "mark"),
    [(0.146, 0.2, "yes"), (0.79, 0.2, "look"), (0.01, 0.2, "yes"), (0.01, 0.4, "look"), (0.79, 0.3, "open")],
)
def test_a_metric_that_got_worse_is_said(tmp_path: Path, after: float, best: float, mark: str) -> None:
    rows = [{"epoch": at, "metric": value} for at, value in enumerate((0.4, 0.2))]
    metric = {"metric_name": "error", "best_metric": best, "test_metric": 0.145}
    write_run(tmp_path / "dense", rows=rows, result=metric)
    parent = {"model": {"path": str(tmp_path / "dense" / "model_best.pth.tar"), "sha256": "00ff"}}
    cut = {"metric_name": "error", "metric_before": 0.145, "metric": after, "params": 400, "macs": 1000}
    write_run(tmp_path / "cut", "prune", parents=parent, result=cut)
    (check,) = (check for title, check in found(tmp_path / "cut").items() if "small network" in title)
    assert check.mark == mark
    assert check.detail.startswith(f"error 0.145 before, {after:g} after")


def test_a_network_that_was_pruned_early_is_said_to_be_so(chain: list[Path]) -> None:
    title = "The large network after as much training"
    assert title not in found(chain[-1])
    write_run(chain[-1], parents={"refine": {"path": str(chain[2] / "pruned.pth.tar")}}, rows=epochs(*[0.9] * 9))
    check = found(chain[-1])[title]
    assert (check.mark, check.detail.split(";")[0]) == ("open", "epochs before the pruning: 4, after it: 9")
