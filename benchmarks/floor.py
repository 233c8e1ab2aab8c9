"""What a training step of the guide's network is made of on a CPU, and what the hardware would allow.

    python benchmarks/floor.py [--depth 164] [--batch 64] [--out results/floor.csv]

Every kind of kernel is timed by itself, forward and backward, in the shapes of the network's layers, channels-last,
on tensors that were not in use just before; a row sums over the layers. `step` is the whole step. `gflop_per_second`
counts multiplications and additions, `gbyte_per_second` every tensor that is read or written once. `product` and `copy`
are what this machine reaches on a large matrix product and on copying.
"""

import argparse
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import netslim
from netslim.core.processes.allocator import keep_freed_memory
from netslim.training.precision import DTYPES, Precision
from table import write_rows
from training_step import SIZE, netslim_step, random_batch

COPIES, REPEATS, STEPS = 8, 8, 5
PRODUCT = 2048
Shape = tuple[int, ...]
Layer = tuple[str, Shape, tuple[Any, ...]]
Kernel = Callable[[], object]
aten = torch.ops.aten


def layers(depth: int, batch: int) -> Counter[Layer]:
    """Kind, input shape and what else decides the time of every layer, with how often it is there."""
    found: Counter[Layer] = Counter()

    def note(module: nn.Module, inputs: tuple[Tensor, ...], _: Tensor) -> None:
        shape = (batch, *inputs[0].shape[1:])
        if isinstance(module, nn.Conv2d):
            found["convolution", shape, (module.out_channels, module.kernel_size[0], module.stride[0])] += 1
        elif isinstance(module, nn.BatchNorm2d):
            found["BatchNorm", shape, ()] += 1
            found["ReLU", shape, ()] += 1

    model = netslim.create_model("resnet", depth=depth).eval()
    for module in model.modules():
        module.register_forward_hook(note)
        if hasattr(module, "conv3"):  # a block: its output is a sum
            module.register_forward_hook(lambda _, __, out: found.update([("addition", (batch, *out.shape[1:]), ())]))
    with torch.no_grad():
        model(torch.zeros(1, 3, SIZE, SIZE))
    return found


def kernels(layer: Layer, dtype: torch.dtype) -> tuple[Kernel, float, float]:
    """One layer's work forward and backward, its FLOP, and the bytes of the tensors it reads and writes."""
    kind, shape, how = layer
    inputs = fresh(shape, dtype)
    bytes_ = torch.Size(shape).numel() * dtype.itemsize
    if kind == "convolution":
        out, size, stride = how
        weight = torch.randn(out, shape[1], size, size, dtype=dtype).contiguous(memory_format=torch.channels_last)
        side = -(-shape[2] // stride)
        outputs = fresh((shape[0], out, side, side), dtype)
        masks = [shape[1] != 3, True, False]  # the images need no gradient

        def convolve() -> None:
            F.conv2d(next(inputs), weight, stride=stride, padding=size // 2)
            aten.convolution_backward(
                next(outputs),
                next(inputs),
                weight,
                None,
                [stride] * 2,
                [size // 2] * 2,
                [1, 1],
                False,
                [0, 0],
                1,
                masks,
            )

        flop = 2 * weight.numel() * shape[0] * side * side * (1 + sum(masks))
        out_bytes = shape[0] * out * side * side * dtype.itemsize
        return convolve, flop, (1 + sum(masks)) * (bytes_ + out_bytes)
    gradients = fresh(shape, dtype)
    if kind == "BatchNorm":
        weight, bias, mean, var = (torch.ones(shape[1]) for _ in range(4))

        def normalise() -> None:
            x = next(inputs)
            _, mu, inverse = torch.native_batch_norm(x, weight, bias, mean, var, True, 0.1, 1e-5)
            aten.native_batch_norm_backward(
                next(gradients), next(inputs), weight, None, None, mu, inverse, True, 1e-5, [True] * 3
            )

        return normalise, 0.0, 5 * bytes_
    if kind == "ReLU":

        def relu() -> None:
            torch.relu_(next(inputs))
            aten.threshold_backward(next(gradients), next(inputs), 0)

        return relu, 0.0, 5 * bytes_
    return lambda: torch.add(next(inputs), next(gradients)), 0.0, 3 * bytes_


def fresh(shape: Shape, dtype: torch.dtype) -> Iterator[Tensor]:
    """Tensors in turn, so that none is in a cache because it was the last one."""
    channels_last = torch.channels_last
    return cycle([torch.randn(shape, dtype=dtype).contiguous(memory_format=channels_last) for _ in range(COPIES)])


def seconds(act: Kernel, repeats: int = REPEATS) -> float:
    """The median."""
    act()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        act()
        times.append(time.perf_counter() - start)
    return sorted(times)[repeats // 2]


def whole_step(precision: Precision, depth: int, batch: int) -> float:
    """Seconds of netslim's training step."""
    step = netslim_step(netslim.create_model("resnet", depth=depth), precision)
    images, labels = random_batch(batch)
    return seconds(lambda: step(images, labels), STEPS)


def rows_of(precision: Precision, depth: int, batch: int) -> list[dict[str, Any]]:
    """The step, its kinds of kernels, and the machine's limits."""
    dtype = DTYPES[precision.name]
    about = {"precision": precision.name, "depth": depth, "batch": batch}
    sums: dict[str, list[float]] = {}
    for layer, count in layers(depth, batch).items():
        act, flop, bytes_ = kernels(layer, dtype)
        each = (1.0, seconds(act), flop, bytes_)
        total = sums.setdefault(layer[0], [0.0] * 4)
        sums[layer[0]] = [old + count * new for old, new in zip(total, each, strict=True)]
    step = whole_step(precision, depth, batch)
    side = torch.randn(PRODUCT, PRODUCT, dtype=dtype)
    images = fresh((64, 64, 32, 32), dtype)
    limits = {
        "product": [1.0, seconds(lambda: side @ side), 2.0 * PRODUCT**3, 3 * side.nbytes],
        "copy": [1.0, seconds(lambda: next(images).copy_(next(images))), 0.0, 2 * next(images).nbytes],
    }
    whole = {"calls": 1, "seconds": step, "share": 1.0, "gflop_per_second": "", "gbyte_per_second": ""}
    rows: list[dict[str, Any]] = [{**about, "kind": "step", **whole}]
    for kind, (calls, taken, flop, bytes_) in {**sums, **limits}.items():
        rows.append(
            {
                **about,
                "kind": kind,
                "calls": int(calls),
                "seconds": taken,
                "share": taken / step if kind in sums else "",
                "gflop_per_second": flop / taken / 1e9 if flop else "",
                "gbyte_per_second": bytes_ / taken / 1e9,
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--depth", type=int, default=164)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--out", type=Path, default=Path("results/floor.csv"))
    arguments = parser.parse_args()
    keep_freed_memory()
    precisions = [Precision(name, channels_last=True) for name in ("fp32", "bf16")]
    write_rows(arguments.out, [row for p in precisions for row in rows_of(p, arguments.depth, arguments.batch)])


if __name__ == "__main__":
    main()
