"""Run folders as a training and a pruning leave them, written in a millisecond."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from netslim.report.page.chain import runs_in
from netslim.report.page.findings import Example, Findings, Images, Speed
from netslim.report.page.render import page_text

PNG = b"\x89PNG\r\n\x1a\n"
HISTOGRAMS = ([0] * 20 + [30, 10, 0, 0, 0], [20] + [0] * 19 + [10, 10, 0, 0, 0])
PLAN: dict[str, Any] = {
    "arch": {"name": "resnet", "arguments": {"depth": 11}},
    "groups": [
        {"name": "layer1.0.bn1", "total": 4, "keep": [0, 2]},
        {"name": "layer1.0.bn2", "total": 4, "keep": [0, 1, 2, 3]},
        {"name": "bn", "total": 8, "keep": [5]},
    ],
    "criterion": "bn_scale",
    "min_channels": 1,
    "clamped": ["bn"],
    "before": {"params": 1000, "macs": 5000},
    "after": {"params": 400, "macs": 1000},
    "input_shape": [1, 1, 8, 8],
    "budget": {"kind": "percent", "asked": "0.5", "target": 7, "reached": 7, "dense": 16},
}
DENSE = {"criterion": "", "budget": "unpruned", "percent": 0.0, "params": 1000, "macs": 5000, "top1": 0.9}


def write_run(folder: Path, stage: str = "train", **record: Any) -> Path:
    """A finished run; `record` replaces parts of its `run.json`, and `rows` and `plan` are its other files."""
    rows, plan = record.pop("rows", None), record.pop("plan", None)
    folder.mkdir(parents=True, exist_ok=True)
    whole = {
        "run_id": "1a2b",
        "stage": stage,
        "status": "finished",
        "started": "2026-01-01T00:00:00+00:00",
        "config": {"arch": "resnet", "dataset": "digits", "seed": 1, "select_on": "val", "epochs": 2, "depth": 11},
        "settings": {"dataset": "digits", "epochs": 2},
        "parents": {},
        "versions": {"python": "3.11", "netslim": "0.1.0"},
        "commit": "abcdef012345",
        "warnings": [],
        "result": {"test_top1": 0.9, "test_images": 100, "params": 1000, "macs": 5000, "seconds": 3.0},
        **record,
    }
    (folder / "run.json").write_text(json.dumps(whole))
    if rows is not None:
        (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    if plan is not None:
        (folder / "plan.json").write_text(json.dumps(plan))
    return folder


def epochs(*values: float) -> list[dict[str, Any]]:
    """Rows of a training with these accuracies, whose scales part in two in the second epoch."""
    return [
        {
            "epoch": at,
            "train_top1": value,
            "top1": value,
            "near_zero_scales": 0.25,
            "scale_histogram": HISTOGRAMS[min(at, 1)],
            "scales_parted": at > 0,
        }
        for at, value in enumerate(values)
    ]


def write_chain(root: Path) -> list[Path]:
    names = ("dense", "sparse", "pruned", "fine")
    dense, sparse, pruned, fine = (root / name for name in names)
    plain = {"arch": "resnet", "dataset": "digits", "seed": 1, "select_on": "val", "epochs": 2, "depth": 11}
    write_run(dense, rows=epochs(0.5, 0.88))
    parent = {"resume": {"path": str(dense / "model_best.pth.tar"), "sha256": "00ff"}}
    config = {**plain, "sparsity_regularization": True, "resume": "x"}
    write_run(sparse, parents=parent, config=config, rows=epochs(0.9, 0.89))
    result = {"top1": 0.8, "top1_before": 0.91, "top1_masked": 0.7, "max_difference": 1e-7, "params": 400, "macs": 1000}
    parent = {"model": {"path": str(sparse / "model_best.pth.tar"), "sha256": "00ff"}}
    write_run(pruned, "prune", parents=parent, config={"percent": 0.5, "seed": 1}, result=result, plan=PLAN)
    parent = {"refine": {"path": str(pruned / "pruned.pth.tar"), "sha256": "00ff"}}
    result = {"test_top1": 0.9, "test_images": 100, "params": 400, "macs": 1000}
    write_run(fine, parents=parent, config={**plain, "refine": "x"}, result=result, rows=epochs(0.85, 0.9))
    return [dense, sparse, pruned, fine]


def sweep(folder: Path, **record: Any) -> Path:
    """Two criteria at one budget, with statistics measured again."""
    rows = [
        {**DENSE, "criterion": name, "budget": "0.5", "percent": 0.5, "params": 400, "macs": 2000, "top1": top1}
        | {"top1_recalibrated": top1 + 0.1}
        for name, top1 in (("bn_scale", 0.5), ("l1", 0.4))
    ]
    result = {"rows": [DENSE, *rows], "judged_on": "100 training images that its training held out"}
    return write_run(folder, "sweep", **{"result": result, **record})


def sensitivity(folder: Path) -> Path:
    """Two layers at two shares; a name is no HTML."""
    rows = [
        {"layer": layer, "share": share, "channels": 8, "removed": 4, "params": 900, "macs": 4000, "top1": 0.9 - drop}
        | {"drop": drop, "macs_freed": 1000}
        for layer, drop in (("conv1", 0.01), ("<b>", 0.3))
        for share in (0.25, 0.5)
    ]
    dense = {"layer": "", "share": 0.0, "params": 1000, "macs": 5000, "top1": 0.9}
    return write_run(folder, "sensitivity", result={"rows": [dense, *rows], "judged_on": "100 images"})


def seen(*names: str, examples: int = 1) -> Findings:
    shown = Example(
        number=7, png=PNG, truth=names[0], small=names[1], large=names[0], small_share=0.75, large_share=0.5
    )
    size = len(names)
    confusion = tuple(tuple(8 if row == column else int(row < column) for column in range(size)) for row in range(size))
    return Findings(
        images=Images(
            dataset="digits",
            count=100,
            class_names=names,
            confusion=confusion,
            small_right=90,
            large_right=91,
            only_large=3,
            only_small=2,
            examples=(shown,) * examples,
        ),
        speeds=(
            Speed(engine="eager", threads=1, batch=1, before=0.004, after=0.002, hardware="CPU", source="bench.csv"),
        ),
        sizes=(1000, 500),
    )


class Parsed(HTMLParser):
    """What a page is made of: elements with their attributes, and the text outside of style and script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self) -> str:
        """All words with single spaces."""
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of all elements of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]


def page(*folders: Path, findings: Findings | None = None) -> Parsed:
    return Parsed(page_text(runs_in([*folders]), findings))
