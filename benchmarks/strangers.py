"""Constructs as strangers write them: which of them can be pruned, and is what comes out exact?

    python benchmarks/strangers.py [--only REGEX] [--list] [--onnx] [--out results/strangers.csv]

Each construct of `constructs/` gets BatchNorm scales, shifts and statistics as after a training (some scales negative),
and half of the channels of every BatchNorm say nothing (scale and shift are zero). 30 % of the channels go, and then as
many that half of the MACs remain; the small network is held against the original where all that went was silent, else
against the masked one, in double precision, each output relative to its own size. It is then saved and loaded, and
trained for a step; with `--onnx` it is exported.

A row says `exact`, `left alone` (nothing can go), `out of reach` (the budget is), `refused` (with the line), or what is
wrong: `WRONG` in numbers or `CRASH` with an exception that is none of netslim's. The program exits with 1 if there is
one of these two.
"""

import argparse
import copy
import re
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

import constructs.attention
import constructs.layers
import constructs.made
import constructs.movement
import constructs.wholes
import constructs.widths  # noqa: F401
import netslim
from constructs import CONSTRUCTS, Construct
from netslim.core.errors import NetslimError
from netslim.core.networks.example import Inputs, tensors_of
from netslim.core.networks.wrappers import plain
from netslim.pruning import masked
from table import write_rows

EXACT = 1e-6  # of an output's own size
BUDGETS: dict[str, dict[str, float]] = {"30% of channels": {"percent": 0.3}, "half of MACs": {"target_macs": 0.5}}
SILENT: tuple[Callable[[int, int], bool], ...] = (  # which channels of so many say nothing
    lambda channel, _: channel % 2 == 0,
    lambda channel, _: channel // 4 % 2 == 0,
    lambda channel, count: channel < count // 2,
)
SAID = {"has no channels that can go": "left alone", "the least that can be reached": "out of reach"}
Row = dict[str, Any]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=re.compile, default=re.compile(""), help="only constructs whose names match")
    parser.add_argument("--list", action="store_true", help="print the constructs and stop")
    parser.add_argument("--onnx", action="store_true", help="export them, too")
    parser.add_argument("--out", type=Path, default=Path("results/strangers.csv"))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    chosen = [each for each in CONSTRUCTS.values() if arguments.only.search(each.name)]
    rows: list[Row] = []
    for each in chosen:
        if arguments.list:
            print(f"{each.kind}: {each.name}")
            continue
        for budget in BUDGETS:
            rows.append(row(each, budget, onnx=arguments.onnx))
            print(
                *(str(rows[-1][key]) for key in ("outcome", "name", "budget", "macs_left", "reason")),
                sep=" | ",
                flush=True,
            )
    if rows:
        write_rows(arguments.out, rows, show=False)
        for budget in BUDGETS:
            print(budget, dict(Counter(each["outcome"] for each in rows if each["budget"] == budget)))
    return int(any(each["outcome"] in ("WRONG", "CRASH") for each in rows))


def row(each: Construct, budget: str, *, onnx: bool) -> Row:
    """What became of a construct."""
    found: Row = {"kind": each.kind, "name": each.name, "budget": budget, "outcome": "exact", "reason": ""}
    found |= dict.fromkeys(("groups", "channels", "kept", "left", "macs", "macs_left", "reference", "difference"), "")
    try:
        found |= numbers(each, BUDGETS[budget], onnx=onnx)
    except NetslimError as error:
        known = (outcome for text, outcome in SAID.items() if text in str(error))
        found |= {"outcome": next(known, "refused"), "reason": str(error)}
    except Exception as error:
        found |= {"outcome": "CRASH", "reason": f"{type(error).__name__}: {error}".strip().split("\n")[0]}
    return found


def numbers(each: Construct, budget: dict[str, float], *, onnx: bool) -> Row:
    for number, silent in enumerate(SILENT):
        model, example = prepared(each, silent), each.example()
        plan = netslim.plan(model, example, **budget)
        small = netslim.apply(model, plan).eval()
        reference = masked(model, plan).eval()
        all_silent = difference(model, reference, example) < EXACT
        if all_silent or number == len(SILENT) - 1:
            break
    apart = difference(model if all_silent else reference, small, example)
    wrong = [] if apart <= EXACT else [f"differs by {apart:.1e}"]
    wrong += [*faults(each, small, example)] + ([*export_faults(small, example)] if onnx else [])
    left = "; ".join(f"{part.name} ({part.channels}): {part.reason}" for part in plan.left_alone)
    return {
        "groups": len(plan.groups),
        "channels": plan.total,
        "kept": plan.kept,
        "left": sum(part.channels for part in plan.left_alone),
        "macs": plan.before.macs,
        "macs_left": plan.after.macs / max(plan.before.macs, 1),
        "reference": "original" if all_silent else "masked",
        "difference": apart,
        "outcome": "WRONG" if wrong else "exact",
        "reason": "; ".join(wrong) or left,
    }


def prepared(each: Construct, silent: Callable[[int, int], bool]) -> nn.Module:
    """The network as after a training, with channels that say nothing."""
    torch.manual_seed(0)
    model = each.build()
    for norm in model.modules():
        if isinstance(norm, _BatchNorm) and not norm.weight.is_meta and isinstance(norm.weight, nn.Parameter):
            if type(norm.weight).__name__ == "UninitializedParameter":
                continue
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            norm.weight.data[1::3] *= -1
            nn.init.normal_(norm.bias, std=0.3)
            nn.init.normal_(norm.running_mean, std=0.3)
            nn.init.uniform_(norm.running_var, 0.5, 2)
            gone = [channel for channel in range(norm.num_features) if silent(channel, norm.num_features)]
            norm.weight.data[gone] = norm.bias.data[gone] = 0
    return model.eval()


def difference(first: nn.Module, second: nn.Module, example: Any) -> float:
    """The largest difference of two networks, relative to each output's own size, in double precision."""
    inputs = Inputs.of(example).map(lambda x: x.double() if x.is_floating_point() else x)
    found = []
    torch.set_default_dtype(torch.float64)
    try:
        for network in (first, second):
            with torch.no_grad():
                found.append(tensors_of(inputs.call(copy.deepcopy(plain(network)).double().eval())))
    finally:
        torch.set_default_dtype(torch.float32)
    if found[0].keys() != found[1].keys() or any(found[0][key].shape != found[1][key].shape for key in found[0]):
        return float("inf")
    return max(float((a - found[1][key]).abs().max()) / (float(a.abs().max()) or 1.0) for key, a in found[0].items())


def faults(each: Construct, small: nn.Module, example: Any) -> list[str]:
    """What does not work with the small network: files, training."""
    wrong, inputs = [], Inputs.of(example)
    with tempfile.TemporaryDirectory() as folder:
        netslim.save(Path(folder) / "small.pth.tar", small)
        again = netslim.load(Path(folder) / "small.pth.tar", model=each.build()).eval()
    if difference(small, again, example) > 0:
        wrong.append("another network after loading")
    trained = copy.deepcopy(small).train()
    outputs = [tensor for tensor in tensors_of(inputs.call(trained)).values() if tensor.requires_grad]
    if not outputs:
        return wrong
    torch.stack([output.square().mean() for output in outputs]).sum().backward()
    gradients = [parameter.grad for parameter in trained.parameters() if parameter.grad is not None]
    if not gradients or not all(bool(gradient.isfinite().all()) for gradient in gradients):
        wrong.append("gradients are not finite")
    return wrong


def export_faults(small: nn.Module, example: Any) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        try:
            netslim.export(small, example, Path(folder) / "small.onnx")
        except Exception as error:
            return [f"ONNX: {type(error).__name__}: {str(error).strip().splitlines()[0]}"]
    return []


if __name__ == "__main__":
    sys.exit(main())
