"""How fast a pruned network is: dense against pruned, in every form, eager and with ONNX Runtime.

    python benchmarks/small_network.py [--networks REGEX] [--seconds 1] [--threads N] [--one-by-one] [--original DIR]
                                       [--out results/small_network.csv]

Speed alone: weights and BatchNorm scales, shifts and statistics are random. Per network, engine and batch size, the
dense network and all pruned ones are timed in turns, each in the form that `netslim export` would choose for it
(chosen at batch 64 where the batch is larger). `--one-by-one` leaves large batches out. `residual` is how residual
streams are pruned (`select` or `couple`; - for networks that have no choice), `round_to` what widths are multiples of.

`macs` are those of the network, without padding or zero columns; `mac_ratio` and `speed_up` are over the dense network,
`share` is speed_up / mac_ratio. `--original DIR` adds the original's code on the same weights, as it is: DIR is a
checkout of github.com/Eric-mingjie/network-slimming that runs on this version of torch.

All sides run with glibc told to keep freed memory (see `netslim.core.processes.allocator`), as in `netslim bench`.
"""

import argparse
import gc
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import netslim
from netslim.core.processes.allocator import keep_freed_memory
from netslim.cost import measure_latency
from netslim.deploy import TARGETS
from netslim.deploy.form_search import Search, choose
from netslim.deploy.formats.onnx_runtime import onnx_session, run_session
from netslim.deploy.inference import shaped, simplified
from netslim.deploy.targets.onnx import onnx_bytes
from table import write_rows

ENGINES = ("eager", "onnxruntime")
ROUND_TO = (1, 8, 16)
SEARCH_BATCH = 64


@dataclass(frozen=True, kw_only=True)
class Case:
    """A network and how it is pruned; `budgets` are keywords of `netslim.plan`."""

    name: str
    arch: str
    side: int
    budgets: tuple[dict[str, Any], ...]
    residuals: tuple[str, ...] = ("-",)
    batches: tuple[int, ...] = (1, 128)
    arguments: dict[str, Any] = field(default_factory=dict)


SHARES = ({"percent": 0.4}, {"percent": 0.6})
BOTH = ("select", "couple")
HALF = ({"target_macs": 0.5},)
CASES = (
    Case(name="resnet-164", arch="resnet", side=32, arguments={"depth": 164}, budgets=SHARES, residuals=BOTH),
    Case(name="vgg-19", arch="vgg", side=32, arguments={"depth": 19}, budgets=({"percent": 0.7},)),
    Case(
        name="resnet50-cifar",
        arch="torchvision/resnet50",
        side=32,
        arguments={"num_classes": 10, "stem": "cifar"},
        budgets=HALF,
        batches=(1, 16),
    ),
    Case(name="resnet50-224", arch="torchvision/resnet50", side=224, budgets=HALF, batches=(1, 8)),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=re.compile, default=re.compile(""), help="only those whose name matches")
    parser.add_argument("--seconds", type=float, default=1.0, help="measured time per network, engine and batch size")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--one-by-one", action="store_true", help="batch 1 only")
    parser.add_argument("--original", type=Path, help="checkout of the original's code")
    parser.add_argument("--out", type=Path, default=Path("results/small_network.csv"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()
    rows: list[dict[str, Any]] = []
    for case in CASES:
        if arguments.networks.search(case.name):
            variants = list(variants_of(case, arguments.original))
            for engine in ENGINES:
                for batch in case.batches[:1] if arguments.one_by_one else case.batches:
                    rows += measured(case, variants, engine, batch, arguments.seconds)
                    gc.collect()
            write_rows(arguments.out, rows, show=False)  # what was measured stays, whatever happens next
    write_rows(arguments.out, rows)


def variants_of(case: Case, original: Path | None) -> Iterator[tuple[dict[str, Any], nn.Module]]:
    """(what it is, network), the dense one first."""
    dense = randomised(netslim.create_model(case.arch, **case.arguments))
    example = torch.zeros(1, 3, case.side, case.side)
    yield describe("dense", "-", 1, dense, example), dense
    for budget in case.budgets:
        ((kind, amount),) = budget.items()
        for residual in case.residuals:
            for round_to in ROUND_TO:
                options = {} if residual == "-" else {"residual": residual}
                small = netslim.apply(
                    dense, netslim.plan(dense, example, **budget, round_to=round_to, **options)
                ).eval()
                yield describe(f"{kind} {amount}", residual, round_to, small, example), small
                if original and case.arch == "resnet" and (residual, round_to) == ("select", 1):
                    theirs = in_original_code(small, original, case.arguments["depth"])
                    yield {**describe(f"{kind} {amount}", residual, 1, small, example), "code": "original"}, theirs
    if original and case.arch == "resnet":
        yield (
            {**describe("dense", "-", 1, dense, example), "code": "original"},
            in_original_code(dense, original, case.arguments["depth"]),
        )


def describe(what: str, residual: str, round_to: int, network: nn.Module, example: Tensor) -> dict[str, Any]:
    cost = netslim.measure(network, example)
    return {
        "pruned": what,
        "residual": residual,
        "round_to": round_to,
        "code": "netslim",
        "params": cost.params,
        "macs": cost.macs,
    }


def randomised(network: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.05, 1)
            module.weight.data[::5] *= -1  # in trained networks some are negative, which costs a bound more
            nn.init.normal_(module.bias, std=0.1)
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return network.eval()


def in_original_code(network: nn.Module, checkout: Path, depth: int) -> nn.Module:
    """The original's network of the same widths and weights."""
    sys.path.insert(0, str(checkout))
    from models import resnet  # the checkout's own package

    theirs: nn.Module = resnet(depth=depth, dataset="cifar10", cfg=list(network.cfg))
    theirs.load_state_dict(network.state_dict())
    return theirs.eval()


def measured(
    case: Case, variants: list[tuple[dict[str, Any], nn.Module]], engine: str, batch: int, seconds: float
) -> list[dict[str, Any]]:
    """One row per variant that the engine runs."""
    images = torch.randn(batch, 3, case.side, case.side, generator=torch.Generator().manual_seed(0))
    calls: dict[str, Callable[[], object]] = {}
    facts: dict[str, dict[str, Any]] = {}
    with torch.inference_mode():
        for number, (about, network) in enumerate(variants):
            if about["code"] == "original":
                if engine == "eager":
                    calls[str(number)], form = (lambda network=network: network(images)), "as it is"
                else:
                    continue
            else:
                calls[str(number)], form = best_call(network, engine, images)
            facts[str(number)] = {**about, "form": form}
        times = measure_latency(calls, seconds=seconds)
    dense, rows = times["0"].median, []
    for number, time in times.items():
        mac_ratio = facts["0"]["macs"] / facts[number]["macs"]
        rows.append(
            {
                "network": case.name,
                "engine": engine,
                "batch": batch,
                **facts[number],
                "ms": 1e3 * time.median,
                "ms_q1": 1e3 * time.lower_quartile,
                "ms_q3": 1e3 * time.upper_quartile,
                "runs": time.runs,
                "speed_up": dense / time.median,
                "mac_ratio": mac_ratio,
                "share": dense / time.median / mac_ratio,
            }
        )
        print(
            *(f"{key}={value:.4g}" if isinstance(value, float) else value for key, value in rows[-1].items()),
            flush=True,
        )
    return rows


def best_call(network: nn.Module, engine: str, images: Tensor) -> tuple[Callable[[], object], str]:
    """The call of the fastest form, and its name."""
    example = images[:SEARCH_BATCH] if len(images) > 1 else images.expand(2, -1, -1, -1).contiguous()
    few = images[:SEARCH_BATCH]
    plain = simplified(network, example)
    target = TARGETS.get("onnx" if engine == "onnxruntime" else "eager")
    form = choose(plain, example, lambda found: call(found, engine, few), Search().forms(target), Search()).form
    return call(shaped(plain, example, form), engine, images), str(form)


def call(network: nn.Module, engine: str, images: Tensor) -> Callable[[], object]:
    if engine == "eager":
        return lambda: network(images)
    session = onnx_session(onnx_bytes(network, images), torch.get_num_threads())
    return lambda: run_session(session, images)


if __name__ == "__main__":
    main()
