"""`netslim demo` over several seeds: one CSV row per seed and phase.

python benchmarks/demo_seeds.py --seeds 1 2 3 4 5 --out results/demo.csv
"""

import argparse
from pathlib import Path
from typing import Any

from netslim.stages.demo import run as demo
from netslim.stages.demo.config import DemoConfig
from table import write_rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--work", type=Path, default=Path("runs/demo-seeds"))
    parser.add_argument("--out", type=Path, default=Path("results/demo.csv"))
    args = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for seed in args.seeds:
        result = demo.run(DemoConfig(save=args.work / str(seed), seed=seed))
        shared: dict[str, Any] = {
            "dataset": "digits",
            "depth": demo.DEPTH,
            "seed": seed,
            "epochs": demo.EPOCHS,
            "s": demo.PENALTY,
        }
        shared |= {f"two_epochs_{start}": top1 for start, top1 in result["two_epochs"].items()}
        counts = {"percent": demo.PERCENT, "channels": result["channels"], "kept": result["kept"]}
        rows += [{**shared, **counts, **{k: v for k, v in p.items() if k != "file"}} for p in result["phases"]]
    write_rows(args.out, rows)


if __name__ == "__main__":
    main()
