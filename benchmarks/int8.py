"""Dense, pruned, int8, and both: accuracy, size and time in ONNX Runtime and in OpenVINO -> results/int8.csv.

    netslim slim recipes/published/test_resnet-fashion-mnist.toml --set cut.target_macs=0.5 --data-dir DIR --save runs/f
    python benchmarks/int8.py fashion-mnist dense=runs/f/01-dense/model_best.pth.tar pruned=runs/f/small.pth.tar
        --data-dir DIR

Rows of other data and networks stay in the file; times compare with the first network in float. Everything is done by
`netslim export` and `netslim bench`, whose files are in `--work`: the same command goes on where it was cut off. Layers
and calibration images are chosen by held-out training images; the accuracy is of all test images. One thread; the files
of a run time are timed in turns.
"""

import argparse
import json
import os
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import torch

from table import rows_of_these_versions, write_rows

BATCHES = (1, 16, 64)
TARGETS = {"onnxruntime": "onnx", "openvino": "openvino"}  # by engine
Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="of the rows: the data set")
    parser.add_argument("networks", nargs="+", metavar="NAME=FILE", help="dense=FILE pruned=FILE")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("runs/int8"))
    parser.add_argument("--out", type=Path, default=Path("results/int8.csv"))
    args = parser.parse_args()
    torch.set_num_threads(1)  # as the commands below are run, and the rows say
    folder = args.work / args.name
    folder.mkdir(parents=True, exist_ok=True)
    networks = dict(given.split("=", 1) for given in args.networks)
    known = rows_of_these_versions(args.out)
    kept = [row for row in known if row["data"] != args.name or row["network"] not in networks]
    for engine in TARGETS:
        exports = {
            (network, whole): exported(folder, engine, network, whole, file, args.data_dir)
            for (network, file), whole in product(networks.items(), (False, True))
        }
        kept += rows(args.name, engine, exports, timed(folder, engine, exports))
    write_rows(args.out, kept)


def timed(folder: Path, engine: str, exports: dict[tuple[str, bool], Row]) -> list[Row]:
    files = [Path(found["file"]) for found in exports.values()]
    given = ("--engines", engine, "--batch-sizes", ",".join(map(str, BATCHES)), "--threads", 1, "--no-memory")
    name = f"bench-{engine}"
    found: list[Row] = run(folder / f"{name}.json", "bench", *files, *given, "--save", folder / name)["rows"]
    return found


def exported(folder: Path, engine: str, network: str, int8: bool, file: str, data_dir: Path) -> Row:
    name, target = f"{network}-int8" if int8 else network, TARGETS[engine]
    output = folder / (f"{name}.onnx" if target == "onnx" else f"{name}-{target}")
    given = ("--int8-always", "--data-dir", data_dir) if int8 else ()
    return run(folder / f"{name}-{engine}.json", "export", file, "--target", target, "--output", output, *given)


def run(result: Path, *words: object) -> Row:
    """What a command wrote to `result`, now or before."""
    if not result.exists():
        command = [sys.executable, "-m", "netslim", *map(str, words), "--json", str(result)]
        subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    found: Row = json.loads(result.read_text())
    return found


def rows(name: str, engine: str, exports: dict[tuple[str, bool], Row], timed: list[Row]) -> list[Row]:
    found = []
    for (number, ((network, int8), done)), batch in product(enumerate(exports.items()), BATCHES):
        judged = exports[network, True]["int8"]
        time = next(row for row in timed if (row["number"], row["batch_size"]) == (number, batch))
        found.append({
            "data": name, "engine": engine, "network": network, "int8": int8, "batch": batch,
            "test_top1": judged["test_int8" if int8 else "test_float"],
            "layers": judged["layers"], "layers_int8": judged["layers_int8"] if int8 else 0,
            "bytes": done["bytes"], "macs": time["macs"], "ms": 1e3 * time["median_seconds"],
            "ms_q1": 1e3 * time["lower_quartile_seconds"], "ms_q3": 1e3 * time["upper_quartile_seconds"],
            "speed_up": time["speed_up"],
        })  # fmt: skip
    return found


if __name__ == "__main__":
    main()
