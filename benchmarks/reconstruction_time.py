"""How long it takes to fit a pruned network's layers -> results/reconstruction_time.csv.

    OMP_NUM_THREADS=2 python benchmarks/reconstruction_time.py [--networks resnet20 resnet50]

Random images, a plan by `l2_norm` at 60 % of the MACs. Wall-clock seconds, those of all threads of the process together
(`processor_seconds`), and the load of the machine before: only with one near 0 is the first what a user waits.
"""

import argparse
import os
import time
from pathlib import Path
from typing import Any

import torch

import netslim
from netslim.core.processes.allocator import keep_freed_memory
from reconstruction import ResNet
from table import write_rows

SHARE, BATCH = 0.6, 32
NETWORKS = {  # images, their side, and the network
    "resnet20": (512, 32, lambda: ResNet(3)),
    "resnet50": (256, 224, lambda: netslim.create_model("torchvision/resnet50", num_classes=1000)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--out", type=Path, default=Path("results/reconstruction_time.csv"))
    arguments = parser.parse_args()
    keep_freed_memory()
    write_rows(arguments.out, [measured(name) for name in arguments.networks])


def measured(name: str) -> dict[str, Any]:
    """One network's row."""
    count, side, build = NETWORKS[name]
    torch.manual_seed(0)
    model, images = build(), torch.randn(count, 3, side, side)
    netslim.recalibrate_(model, images[:BATCH].split(BATCH))
    small = netslim.apply(model, netslim.plan(model, images[:1], target_macs=SHARE, criterion="l2_norm"))
    load, wall, own = os.getloadavg()[0], time.perf_counter(), time.process_time()
    done = netslim.reconstruct_(small, model, images.split(BATCH))
    wall, own = time.perf_counter() - wall, time.process_time() - own
    return {"network": name, "images": count, "side": side, "macs_left": SHARE, "layers": len(done.layers),
            "seconds": wall, "processor_seconds": own, "load_before": load}  # fmt: skip


if __name__ == "__main__":
    main()
