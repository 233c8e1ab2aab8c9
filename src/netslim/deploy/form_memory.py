"""Forms that were searched on this machine, remembered in the user's cache."""

from __future__ import annotations

import hashlib
import json
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn

from netslim.core.errors import NetslimError, NetslimWarning, first_line
from netslim.core.files import atomic_write, make_folder, read_text
from netslim.core.runs.environment import hardware, version_of
from netslim.cost import Latency
from netslim.deploy.form_search import Choice, Search, choose, live_bytes_unpruned
from netslim.deploy.inference import LAYOUTS, SELECTIONS, Form, two_of
from netslim.deploy.latency.table import cache_folder
from netslim.deploy.target import Target

FORMAT = 2  # also of what the passes make of a form: a change of theirs that changes times is another format
_MOST = 1_000_000  # bytes of a file
_UNSTEADY = 1.5  # a median so much above the lower quartile is of a machine that did something else


def fastest_form(
    model: nn.Module, network: fx.GraphModule, images: Tensor, target: Target, search: Search, *, int8: bool = False
) -> Choice:
    """The form that is fastest for a target's files on this machine: as it was found before, or searched for now.

    What is found is kept under a hash of all that it depends on: the network's code and weights, the engine and its
    version, the processor, threads, the images' shape and what else is tried. It is looked for anew if more `seconds`
    are asked for than it was measured in, and not kept if the machine was too busy to measure.

    A pruned network's form takes no more memory for activations than the unpruned network's, where that can be built.

    Args:
        model: the trained network.
        network: what `simplified` made of it.
        images: a batch (N, C, H, W), as it is timed.
        target: of the files.
        search: which forms are tried.
        int8: whether they are timed with layers in 8-bit integers, whose kernels are fast at other widths.
    """
    forms = search.forms(target)
    search = replace(search, most=live_bytes_unpruned(model, images, forms[0]))
    conditions = _conditions(network, images, target, [*map(str, forms), search.most, *["int8"] * int8])
    path = kept_at(conditions)
    kept = _recalled(path, search.seconds)
    if kept is not None:
        return replace(kept, int8=True) if int8 else kept
    caller = target.caller_in_int8 if int8 else target.caller
    choice = choose(network, two_of(images), lambda found: caller(found, images), forms, search)
    if choice.measured and not _is_unsteady(choice):
        _keep(path, conditions, choice, search.seconds)
    return replace(choice, int8=True) if int8 else choice


def kept_at(conditions: Mapping[str, Any]) -> Path:
    """Where the choice under such conditions is kept: in the user's cache."""
    digest = hashlib.sha256(json.dumps(conditions, sort_keys=True).encode()).hexdigest()[:32]
    return cache_folder() / "forms" / f"{conditions['engine']}-{digest}.json"


def _conditions(
    network: fx.GraphModule, images: Tensor, target: Target, tried: Sequence[str | int | None]
) -> dict[str, Any]:
    return {
        "netslim_form": FORMAT,
        "network": _hash(network),
        "engine": target.engines[0],
        "versions": {name: version_of(name) for name in ("netslim", "torch", *target.packages)},
        "processor": hardware()["cpu"],
        "threads": torch.get_num_threads(),
        "images": list(images.shape),
        "tried": [*tried],
    }


def _hash(network: fx.GraphModule) -> str:
    """Of the code and all tensors."""
    found = hashlib.sha256(network.code.encode())
    for name, value in [*network.named_parameters(), *network.named_buffers()]:
        found.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
        found.update(value.detach().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def _is_unsteady(choice: Choice) -> bool:
    time = choice.measured[choice.form]
    return time.median > _UNSTEADY * time.lower_quartile


def _recalled(path: Path, seconds: float) -> Choice | None:
    """What is kept there, if it was measured at least as long; a file that is damaged is as none."""
    if not path.exists():
        return None
    try:
        said = json.loads(read_text(path, _MOST))
        measured = {_form(form): Latency(**_times(times)) for form, times in said["measured"]}
        choice = Choice(form=_form(said["form"]), measured=measured, is_remembered=True)
        return choice if choice.form in measured and float(said["seconds"]) >= seconds else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        _warn(f"{path} is damaged ({first_line(error)}): the forms are measured again")
        return None


def _form(said: Any) -> Form:
    form = Form(**said)
    if form.selection not in SELECTIONS or form.layout not in LAYOUTS or not int(form.multiple) >= 1:
        raise ValueError(f"{form} is no form")
    return replace(form, multiple=int(form.multiple), clamp=bool(form.clamp))


def _times(said: Any) -> dict[str, Any]:
    times = {name: float(value) for name, value in said.items()}
    if not all(math.isfinite(value) and value > 0 for value in times.values()):
        raise ValueError("a time is no positive number")
    return {**times, "runs": int(times["runs"])}


def _keep(path: Path, conditions: Mapping[str, Any], choice: Choice, seconds: float) -> None:
    measured = [[form.to_dict(), asdict(time)] for form, time in choice.measured.items()]
    said = {**conditions, "seconds": seconds, "form": choice.form.to_dict(), "measured": measured}
    try:
        make_folder(path.parent)
        atomic_write(path, json.dumps(said, indent=1).encode())
    except (NetslimError, OSError) as error:
        _warn(f"the form is not remembered: {first_line(error)}")


def _warn(text: str) -> None:
    warnings.warn(text, NetslimWarning, stacklevel=3)
