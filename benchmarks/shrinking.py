"""What is saved by training a network that gets smaller on the way (`netslim train --prune-zeros`).

    python benchmarks/shrinking.py [--dataset fashion-mnist --data-dir DIR --images 6000] [--arch resnet --depth 20]
                                   [--s 0.005] [--seeds 1 2 3] [--work DIR] [--out results/shrinking.csv]

Every case is three commands: training with the proximal penalty, pruning to a share of the MACs, fine-tuning; once with
`--prune-zeros` and once without, all else the same, one after the other. Seconds are CPU seconds of the two trainings'
processes, start-up included. What was finished is not run again: the work folder holds it. Rows of other networks in
the CSV stay. With several `--s` the rows show which strength to take: choose by `held_out`, the accuracy on the images
that choose the epoch, with a seed that is not among those that are reported (`--seeds 0`). Both ways are pruned to the
same share of the MACs: what was asked for, or what the smaller network has after its training, if that is less.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from dataset_part import use_part
from table import rows_of_these_versions, write_rows

WAYS = {"as it is": (), "prune zeros": ("--prune-zeros",)}


def main() -> None:
    args = parse()
    use_part(args)
    known = rows_of_these_versions(args.out)
    case = (args.dataset, args.arch, str(args.depth))
    rows = [row for row in known if (row["data"], row["arch"], row["depth"]) != case]
    for seed in args.seeds:
        for s in args.s:
            rows += both(args, seed, s)
            write_rows(args.out, rows, show=False)
    write_rows(args.out, rows)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--images", type=int, help="of fashion-mnist or cifar10-jpeg: take the first so many")
    parser.add_argument("--arch", default="resnet")
    parser.add_argument("--depth", type=int, default=20)
    parser.add_argument("--s", type=float, nargs="+", default=[0.005])
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--schedule", default="step")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--tuning", type=int, default=20, help="epochs of the fine-tuning")
    parser.add_argument("--macs", type=float, default=0.5, help="largest share that remains")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--work", type=Path, default=Path("shrinking"))
    parser.add_argument("--out", type=Path, default=Path("results/shrinking.csv"))
    return parser.parse_args()


def both(args: argparse.Namespace, seed: int, s: float) -> list[dict[str, Any]]:
    """A row for each way, with its seconds as a share of the first one's."""
    cases = [Case(args, seed, s, way) for way in WAYS]
    dense, shrunk = (case.sparse()["macs"] for case in cases)
    share = min(args.macs, round(shrunk / dense - 0.005, 3))
    rows = [case.row(share) for case in cases]
    for each in rows:
        each["share"] = each["seconds"] / rows[0]["seconds"]
    return rows


class Case:
    """A strength, a seed and a way.

    Args:
        args: what all have in common.
        seed, s, way: of this one.
    """

    def __init__(self, args: argparse.Namespace, seed: int, s: float, way: str) -> None:
        self._args = args
        self._way = way
        network = {"data": args.dataset, "images": args.images or "", "arch": args.arch, "depth": args.depth}
        recipe = {"epochs": args.epochs, "tuning": args.tuning, "schedule": args.schedule, "lr": args.lr, "s": s}
        self._about = {**network, **recipe, "seed": seed, "precision": args.precision, "way": way}
        self._folder = args.work / "-".join(str(part) for part in self._about.values()).replace(" ", "_")
        self._data = ["--dataset", args.loader, *(["--data-dir", args.data_dir] if args.data_dir else [])]
        self._common = [*self._data, "--seed", seed, "--precision", args.precision]

    def sparse(self) -> dict[str, Any]:
        """What the training with the penalty comes to."""
        args = self._args
        given = ["--arch", args.arch, "--depth", args.depth, "-sr", "--penalty", "proximal", "--s", self._about["s"]]
        given += ["--epochs", args.epochs, "--lr", args.lr, "--schedule", args.schedule, *WAYS[self._way]]
        return run(self._folder / "sparse", "train", *self._common, *given)

    def row(self, share: float) -> dict[str, Any]:
        """Also prunes to this share of the MACs, and fine-tunes."""
        args, best = self._args, self._folder / "sparse" / "model_best.pth.tar"
        small, tuned = self._folder / f"pruned-{share:g}", self._folder / f"tuned-{share:g}"
        pruned = run(small, "prune", best, "--target-macs", share, "--reconstruct", 0, *self._data)
        given = ["--refine", small / "pruned.pth.tar", "--epochs", args.tuning, "--lr", args.lr]
        after = run(tuned, "train", *self._common, *given, "--schedule", "onecycle")
        before = self.sparse()
        return {
            **self._about,
            "sparse_seconds": before["cpu"],
            "tuning_seconds": after["cpu"],
            "seconds": before["cpu"] + after["cpu"],
            "macs_trained": before["macs"] / pruned["macs_before"],
            "macs": pruned["macs"] / pruned["macs_before"],
            "sparse_top1": before["test_top1"],
            "held_out": after["best_top1"],
            "top1": after["test_top1"],
        }


def run(save: Path, *command: object) -> dict[str, Any]:
    """Runs a command of netslim, if that was not done. Returns what it came to, with its CPU seconds as `cpu`."""
    note = save.parent / f"{save.name}.seconds"
    if not note.exists():
        shutil.rmtree(save, ignore_errors=True)  # a command that was cut off would not count whole
        words = [str(word) for word in (sys.executable, "-m", "netslim", *command, "--save", save)]
        print("$", *words[1:], file=sys.stderr, flush=True)
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"exit code {process.returncode} of {' '.join(words)}")
        note.write_text(str(usage.ru_utime + usage.ru_stime))
    result: dict[str, Any] = json.loads((save / "run.json").read_text())["result"]
    return {**result, "cpu": float(note.read_text())}


if __name__ == "__main__":
    main()
