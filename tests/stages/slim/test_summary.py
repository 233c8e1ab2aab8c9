"""Means over seeds, and what a network is judged by."""

from netslim.stages.slim.summary import judged, means


def row(seed: int, share: float, top1: float) -> dict[str, object]:
    facts = {"images": 100, "params": 10, "macs": 1000, "file": "x"}
    found: dict[str, object] = {"seed": seed, "prune.percent": share}
    for name, value in (("dense", 0.9), ("small", top1)):
        found |= {f"{name}_top1": value, **{f"{name}_{key}": fact for key, fact in facts.items()}}
    return found


def test_one_line_per_value_with_mean_and_deviation() -> None:
    columns, cells = means([row(1, 0.3, 0.8), row(2, 0.3, 0.9), row(1, 0.5, 0.7)])
    assert columns[:4] == ["prune.percent", "seeds", "dense test top-1 (%)", "small test top-1 (%)"]
    assert cells[0][:4] == ["0.3", "2", "90.00 ± 0.00", "85.00 ± 7.07"]
    assert cells[1][:4] == ["0.5", "1", "90.00", "70.00"]
    assert columns[4:] == ["dense params", "small params", "dense MACs", "small MACs"]


def test_how_many_images_judged() -> None:
    assert judged({"top1": 0.9722, "images": 360}) == "97.22 % of 360"
    assert judged({"metric_name": "mean_iou", "metric": 0.51234, "images": 1000}) == "mean_iou 0.5123 (1,000)"
