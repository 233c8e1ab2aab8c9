"""What training and inference do on a GPU: one part a run, each within its time; `gpu_all.sh` runs all of them.

    python benchmarks/gpu.py PART [--original CHECKOUT] [--data-dir DIR] [--out results] [--device cuda] [--tiny]

PART  steps     images/s of a training step at depth 164, batch 64, with the penalty, on one batch on the device: the
                original's, and netslim's in fp32, in bf16, from CUDA graphs, and compiled as well
      batches   images/s from graphs, and accuracy after a short training, for batches of 64 to 1,024 with the learning
                rate in proportion
      accuracy  short trainings as they are and from graphs, over three seeds
      epoch     epochs of the guide's run (depth 164, batch 64, evaluation in it), and what 160 + 40 + 160 would take
      latency   inference of the dense and of pruned networks, launched one kernel at a time and from a graph

Data: CIFAR-10 from --data-dir; without it, as many images made of noise and one pattern per class. Every row says which
(`data`), and what it ran as in the end (`graphs`: the reason, where they were off). Rows are written as soon as they
are measured; a part stops when its time is up. --tiny is small enough for a CPU: it shows that everything runs.
"""

import argparse
import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import netslim
from gpu_bench import SIDE, Bench, random_batch, synthetic
from netslim.cost import measure_latency
from netslim.data.dataset import DATASETS, DatasetSpec
from netslim.models import create_model
from netslim.training.cuda_graphs import WARM_UP, CudaRecorder, Graphs
from netslim.training.precision import EXACT, Precision
from netslim.training.step import compiled_for
from small_network import randomised
from training_step import STRENGTH, netslim_step, original_commit, original_step

GUIDE_EPOCHS = 160 + 40 + 160
BF16 = Precision("bf16", channels_last=True)


def steps(bench: Bench) -> None:
    """The compiled network comes last, and then all sides are measured again beside it: to compile takes minutes."""
    sizes = bench.sizes
    sides: dict[str, Side] = {}
    if bench.original:
        with bench.device:
            sides["original"] = Side(original_step(bench.original, sizes.depth))
    sides["fp32"] = netslim_side(bench, EXACT, "off")
    sides["bf16"] = netslim_side(bench, BF16, "off")
    if bench.device.type != "cuda":
        compare(bench, sides)
        return
    for capture in ("graphs", "compile"):
        if bench.left:
            sides[capture] = netslim_side(bench, BF16, capture)
            compare(bench, sides)


@dataclass(frozen=True)
class Side:
    """A step on a batch, and the graphs that it uses."""

    step: Callable[[Tensor, Tensor], object]
    graphs: Graphs | None = None
    note: str = ""


def netslim_side(bench: Bench, precision: Precision, capture: str, batch: int | None = None) -> Side:
    """netslim's step, past its warm-up."""
    model = create_model("resnet", depth=bench.sizes.depth).to(bench.device)
    images, labels = random_batch(bench, batch or bench.sizes.batch)
    records = capture != "off" and bench.device.type == "cuda"
    note, graphs = "", Graphs(CudaRecorder(bench.device), print) if records else None
    step = netslim_step(model, precision, graphs=graphs)
    if capture == "compile":
        start = time.perf_counter()
        try:
            compiled = netslim_step(model, precision, graphs=graphs, compiled=compiled_for(model, len(images)))
            compiled.rehearse(images, labels)
            step, note = compiled, f"compiled in {time.perf_counter() - start:.0f} s"
        except Exception as error:
            note = f"not compiled: {str(error).splitlines()[0]}"
    for _ in range(WARM_UP + 1):
        step(images, labels)
    return Side(step, graphs, note)


def compare(bench: Bench, sides: dict[str, Side]) -> None:
    """One row per side, all timed in turns; a call is a block of steps, so that nothing waits between them."""
    images, labels = random_batch(bench, bench.sizes.batch)

    def block(side: Side) -> None:
        for _ in range(bench.sizes.block):
            side.step(images, labels)

    calls = {name: lambda side=side: block(side) for name, side in sides.items()}
    times = measure_latency(calls, seconds=bench.sizes.measured, warmup=1)
    worked = bench.sizes.block * bench.sizes.batch
    first = next(iter(sides))
    for name, taken in times.items():
        bench.add(
            {
                "side": name,
                "beside": " ".join(sides),
                "depth": bench.sizes.depth,
                "batch": bench.sizes.batch,
                "images_per_second": worked / taken.median,
                "images_per_second_q1": worked / taken.upper_quartile,
                "images_per_second_q3": worked / taken.lower_quartile,
                "blocks": taken.runs,
                f"times_{first}": times[first].median / taken.median,
                "graphs": graphs_of(sides[name]),
                "note": sides[name].note,
                "original_commit": original_commit(bench.original) if bench.original else "",
            }
        )


def batches(bench: Bench) -> None:
    """Speed of every size first, then accuracy, one seed after the other."""
    speeds: dict[int, dict[str, Any]] = {}
    for batch in bench.sizes.batches:
        if bench.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        side = netslim_side(bench, BF16, "graphs", batch)
        images, labels = random_batch(bench, batch)
        calls = {"step": lambda side=side, images=images, labels=labels: side.step(images, labels)}
        taken = measure_latency(calls, seconds=bench.sizes.measured / 4)["step"]
        speeds[batch] = {
            "speed_depth": bench.sizes.depth,
            "images_per_second": batch / taken.median,
            "peak_mb": torch.cuda.max_memory_allocated() / 2**20 if bench.device.type == "cuda" else "",
            "speed_graphs": graphs_of(side),
        }
        bench.add({"batch": batch, **speeds[batch]})
    for seed in bench.sizes.seeds:
        for batch in bench.sizes.batches:
            if bench.left:
                accuracy_row(bench, batch=batch, seed=seed, capture="graphs")


def accuracy(bench: Bench) -> None:
    for seed in bench.sizes.seeds:
        for capture in ("off", "graphs"):
            if bench.left:
                accuracy_row(bench, batch=2 * bench.sizes.batch, seed=seed, capture=capture)


def accuracy_row(bench: Bench, *, batch: int, seed: int, capture: str) -> None:
    """A short training; its learning rate is in proportion to the batch, from 0.1 at 64 on."""
    rate = 0.1 * batch / 64
    found = bench.train(
        arch="resnet",
        depth=bench.sizes.small,
        epochs=bench.sizes.epochs,
        batch_size=batch,
        lr=rate,
        schedule="onecycle",
        seed=seed,
        capture=capture,
    )
    bench.add(
        {
            "batch": batch,
            "lr": rate,
            "seed": seed,
            "capture": capture,
            "depth": bench.sizes.small,
            "epochs": bench.sizes.epochs,
            "data": bench.data,
            "test_top1": found["test_top1"],
            "last_loss": found["metrics"][-1]["loss"],
            "seconds": found["seconds"],
            "graphs": "not used" if capture == "off" else found["graphs"],
        }
    )


def epoch(bench: Bench) -> None:
    """The last epoch counts: in the ones before, the steps and evaluations of all shapes are recorded."""
    for capture in ("graphs", "compile"):
        if not bench.left:
            return
        start = time.perf_counter()
        found = bench.train(
            arch="resnet",
            depth=bench.sizes.depth,
            epochs=WARM_UP + 2,
            batch_size=bench.sizes.batch,
            sparsity_regularization=True,
            s=STRENGTH,
            select_on="test",
            capture=capture,
        )
        whole, last = time.perf_counter() - start, found["metrics"][-1]
        bench.add(
            {
                "capture": capture,
                "depth": bench.sizes.depth,
                "batch": bench.sizes.batch,
                "data": bench.data,
                "train_images": bench.sizes.images if bench.data == "synthetic" else 50_000,
                "seconds": last["seconds"],
                "images_per_second": last["images_per_second"],
                "start_seconds": whole - sum(row["seconds"] for row in found["metrics"]),
                "first_epoch_seconds": found["metrics"][0]["seconds"],
                "prune_seconds": prune_seconds(bench),
                "guide_minutes": GUIDE_EPOCHS * last["seconds"] / 60,
                "graphs": found["graphs"],
            }
        )


def prune_seconds(bench: Bench) -> float:
    model, example = randomised(create_model("resnet", depth=bench.sizes.depth)), torch.zeros(1, 3, SIDE, SIDE)
    start = time.perf_counter()
    netslim.apply(model, netslim.plan(model, example, percent=0.4))
    return time.perf_counter() - start


def latency(bench: Bench) -> None:
    dense = randomised(create_model("resnet", depth=bench.sizes.depth))
    example = torch.zeros(1, 3, SIDE, SIDE)
    networks = {"dense": dense}
    for percent in (0.4, 0.6):
        networks[f"percent {percent}"] = netslim.apply(dense, netslim.plan(dense, example, percent=percent)).eval()
    macs = {name: netslim.measure(network, example).macs for name, network in networks.items()}
    for dtype in (torch.float32, torch.bfloat16):
        for batch in (1, 2 * bench.sizes.batch):
            images = random_batch(bench, batch)[0].to(dtype)
            calls = {}
            with torch.inference_mode():
                for name, network in networks.items():
                    calls |= inference_calls(bench, name, network.to(bench.device, dtype), images)
                times = measure_latency(calls, seconds=bench.sizes.measured / 16)
            for (how, name), taken in times.items():
                bench.add(
                    {
                        "network": f"resnet-{bench.sizes.depth}",
                        "pruned": name,
                        "how": how,
                        "dtype": str(dtype).removeprefix("torch."),
                        "batch": batch,
                        "ms": 1e3 * taken.median,
                        "ms_q1": 1e3 * taken.lower_quartile,
                        "ms_q3": 1e3 * taken.upper_quartile,
                        "speed_up": times[how, "dense"].median / taken.median,
                        "mac_ratio": macs["dense"] / macs[name],
                    }
                )
            if not bench.left:
                return


def inference_calls(bench: Bench, name: str, network: nn.Module, images: Tensor) -> dict[Any, Callable[[], object]]:
    """The network as it is, and from a graph where there is a GPU."""
    calls: dict[Any, Callable[[], object]] = {("eager", name): lambda: network(images)}
    if bench.device.type == "cuda":
        recorder = CudaRecorder(bench.device)
        for _ in range(WARM_UP):
            recorder.aside(lambda: network(images))
        calls["graph", name] = recorder.record(lambda: network(images))
    return calls


def graphs_of(side: Side) -> str:
    if side.graphs is None:
        return "not used"
    return side.graphs.off or "on"


PARTS = {"steps": steps, "batches": batches, "accuracy": accuracy, "epoch": epoch, "latency": latency}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--original", type=Path, help="checkout of the original's code, for `steps`")
    parser.add_argument("--data-dir", type=Path, help="folder with CIFAR-10")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--out", type=Path, default=Path("results"))
    parser.add_argument("--tiny", action="store_true")
    bench = Bench(parser.parse_args())
    made = functools.cache(lambda: synthetic(bench.sizes.images))
    DATASETS.register("synthetic")(DatasetSpec(load=lambda _: made(), is_available=lambda _: True))
    PARTS[bench.part](bench)


if __name__ == "__main__":
    main()
