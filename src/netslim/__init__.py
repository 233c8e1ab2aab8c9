"""netslim: make convolutional networks small and fast, and prove it (Network Slimming, Liu et al., ICCV 2017).

The public API on one page; everything is imported at its first use:

- `create_model(name, **arguments)`: a prunable network.
- `load(path)`, `save(path, model)`: a network from a file alone, and back (`load(path, model=MyNet())` for your own).
- `transfer(source, target)`: weights of a source network into a prunable one, with a report.
- `plan(model, example, percent=...)`: which channels of any network go. `apply(model, plan)`: the smaller network.
- `Engine("onnxruntime", threads=2)`: what `plan(..., target_latency=0.5, engine=...)` spends channels by.
- `verify(model, small, images)`: the masked original against the rebuilt network.
- `penalty(model, "l1", strength=...)`: what makes channels removable, in a training loop of your own.
- `repair_(small, model, batches)`: puts right what a pruning did; `absorb_` and `recalibrate_` are its parts.
- `reconstruct_(small, model, batches)`: layers fitted to the large network's, without labels or training.
- `carry(optimizer, model, small)`, `carry_`: an optimizer with the state of what stays.
- `iterative(model, example, schedule)`: pruning in rounds, between which your own loop trains.
- `for_inference(model, example)`: the same function as a network made for speed.
- `export(model, example, path, target="onnx")`: a file for ONNX Runtime (or another target), shown to compute the same.
- `UserData(train, val, test)`: data sets of your own, for `netslim train --dataset FILE.py:NAME`.
- `evaluate(model, batches)`, `measure(model, example)`: accuracy; parameters and MACs.
- `NetslimError`: what all of these raise where their message says what to type instead; `NetslimWarning`.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netslim.core.errors import NetslimError as NetslimError
    from netslim.core.errors import NetslimWarning as NetslimWarning
    from netslim.core.protocols import PrunePlan as PrunePlan
    from netslim.cost import measure as measure
    from netslim.data.own.user_data import UserData as UserData
    from netslim.deploy import export as export
    from netslim.deploy import for_inference as for_inference
    from netslim.deploy.latency import Engine as Engine
    from netslim.models import create_model as create_model
    from netslim.network import load as load
    from netslim.network import save as save
    from netslim.own_loop.penalty import penalty as penalty
    from netslim.own_loop.repair import repair_ as repair_
    from netslim.own_loop.rounds import iterative as iterative
    from netslim.pruning import apply as apply
    from netslim.pruning import carry as carry
    from netslim.pruning import carry_ as carry_
    from netslim.pruning import plan as plan
    from netslim.pruning import verify as verify
    from netslim.pruning.bias_absorption import absorb_ as absorb_
    from netslim.reconstruction import reconstruct_ as reconstruct_
    from netslim.training.bn_statistics import recalibrate_ as recalibrate_
    from netslim.training.evaluate import evaluate as evaluate
    from netslim.transfers import load_source as load_source
    from netslim.transfers import transfer as transfer

_HOMES = {
    "Engine": ("netslim.deploy.latency", "Engine"),
    "NetslimError": ("netslim.core.errors", "NetslimError"),
    "NetslimWarning": ("netslim.core.errors", "NetslimWarning"),
    "PrunePlan": ("netslim.core.protocols", "PrunePlan"),
    "UserData": ("netslim.data.own.user_data", "UserData"),
    "absorb_": ("netslim.pruning.bias_absorption", "absorb_"),
    "apply": ("netslim.pruning", "apply"),
    "carry": ("netslim.pruning", "carry"),
    "carry_": ("netslim.pruning", "carry_"),
    "create_model": ("netslim.models", "create_model"),
    "evaluate": ("netslim.training.evaluate", "evaluate"),
    "export": ("netslim.deploy", "export"),
    "for_inference": ("netslim.deploy", "for_inference"),
    "iterative": ("netslim.own_loop.rounds", "iterative"),
    "load": ("netslim.network", "load"),
    "load_source": ("netslim.transfers", "load_source"),
    "measure": ("netslim.cost", "measure"),
    "penalty": ("netslim.own_loop.penalty", "penalty"),
    "plan": ("netslim.pruning", "plan"),
    "recalibrate_": ("netslim.training.bn_statistics", "recalibrate_"),
    "reconstruct_": ("netslim.reconstruction", "reconstruct_"),
    "repair_": ("netslim.own_loop.repair", "repair_"),
    "save": ("netslim.network", "save"),
    "transfer": ("netslim.transfers", "transfer"),
    "verify": ("netslim.pruning", "verify"),
}

__all__ = list(_HOMES)
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'netslim' has no attribute '{name}'")
    module, attribute = _HOMES[name]
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
