"""What is saved by training a network that gets smaller on the way (`netslim train --prune-zeros`).

    python benchmarks/shrinking.py [--dataset fashion-mnist --data-dir DIR --images 6000] [--arch resnet --depth 20]
                                   [--s 0.005] [--seeds 1 2 3] [--work DIR] [--out results/shrinking.csv]

Every case is three commands: training with the proximal penalty, pruning to a share of the MACs, fine-tuning; once with
`--prune-zeros` and once without, all else the same, one after the other. Seconds are CPU seconds of the two trainings'
processes, start-up included. What was finished is not run again: the work folder holds it. With several `--s` the rows
show which strength to take: choose by `held_out`, the accuracy on the images that choose the epoch.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from fashion_part import use_part
from table import write_rows

WAYS = {"as it is": (), "prune zeros": ("--prune-zeros",)}


def main() -> None:
    args = parse()
    use_part(args)
    rows: list[dict[str, Any]] = []
    for seed in args.seeds:
        for s in args.s:
            rows += both(args, seed, s)
            write_rows(args.out, rows, show=False)
    write_rows(args.out, rows)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--images", type=int, help="of fashion-mnist: take the first so many")
    parser.add_argument("--arch", default="resnet")
    parser.add_argument("--depth", type=int, default=20)
    parser.add_argument("--s", type=float, nargs="+", default=[0.005])
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--schedule", default="step")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--tuning", type=int, default=20, help="epochs of the fine-tuning")
    parser.add_argument("--macs", type=float, default=0.5, help="share that remains")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=[*WAYS])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--work", type=Path, default=Path("shrinking"))
    parser.add_argument("--out", type=Path, default=Path("results/shrinking.csv"))
    return parser.parse_args()


def both(args: argparse.Namespace, seed: int, s: float) -> list[dict[str, Any]]:
    """A row for each way, with its seconds as a share of the first one's."""
    rows = [row(args, seed, s, way) for way in args.ways]
    for each in rows:
        each["share"] = each["seconds"] / rows[0]["seconds"]
    return rows


def row(args: argparse.Namespace, seed: int, s: float, way: str) -> dict[str, Any]:
    """Trains, prunes and fine-tunes in one way."""
    about = {"data": args.dataset, "images": args.images or "", "arch": args.arch, "depth": args.depth}
    recipe = {"epochs": args.epochs, "tuning": args.tuning, "schedule": args.schedule, "lr": args.lr, "s": s}
    case = "-".join(str(part) for part in (*about.values(), *recipe.values(), args.precision, seed, way)).replace(
        " ", "_"
    )
    folder = args.work / case
    common = ["--dataset", args.dataset, "--seed", seed, "--precision", args.precision, "--batch-size", 64]
    common += ["--data-dir", args.data_dir] if args.data_dir else []
    sparse = ["--arch", args.arch, "--depth", args.depth, "-sr", "--penalty", "proximal", "--s", s, *WAYS[way]]
    sparse += ["--epochs", args.epochs, "--lr", args.lr, "--schedule", args.schedule]
    first = run(folder / "sparse", "train", *common, *sparse)
    small = ["--target-macs", args.macs, *(common[:2] + common[8:]), "--reconstruct", 0]
    run(folder / f"pruned-{args.macs}", "prune", folder / "sparse" / "model_best.pth.tar", *small)
    tune = ["--refine", folder / f"pruned-{args.macs}" / "pruned.pth.tar", "--epochs", args.tuning]
    tune += ["--lr", args.lr, "--schedule", "onecycle"]
    second = run(folder / f"tuned-{args.macs}", "train", *common, *tune)
    trained, pruned, tuned = (result(folder / name) for name in ("sparse", f"pruned-{args.macs}", f"tuned-{args.macs}"))
    return {
        **about,
        **recipe,
        "seed": seed,
        "precision": args.precision,
        "way": way,
        "sparse_seconds": first,
        "tuning_seconds": second,
        "seconds": first + second,
        "zero": rows_of(folder / "sparse")[-1]["zero_scales"],
        "macs_trained": trained["macs"] / pruned["macs_before"],
        "macs": pruned["macs"] / pruned["macs_before"],
        "sparse_top1": trained["test_top1"],
        "held_out": tuned["best_top1"],
        "top1": tuned["test_top1"],
    }


def run(save: Path, *command: object) -> float:
    """Runs a command of netslim, if that was not done. Returns its CPU seconds."""
    note = save.parent / f"{save.name}.seconds"
    if note.exists():
        return float(note.read_text())
    shutil.rmtree(save, ignore_errors=True)  # a command that was cut off would not count whole
    words = [str(word) for word in (sys.executable, "-m", "netslim", *command, "--save", save)]
    print("$", *words[1:], file=sys.stderr, flush=True)
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"exit code {process.returncode} of {' '.join(words)}")
    seconds = usage.ru_utime + usage.ru_stime
    note.write_text(str(seconds))
    return seconds


def result(folder: Path) -> dict[str, Any]:
    """What a run came to."""
    found: dict[str, Any] = json.loads((folder / "run.json").read_text())["result"]
    return found


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """What a training logged."""
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


if __name__ == "__main__":
    main()
