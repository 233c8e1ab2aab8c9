"""One checkpoint format: the guide's `.pth.tar` with the original scripts' keys, and netslim's own under `netslim`.

Top level, as the original scripts read and write it: `state_dict`, `epoch` (the next one), `best_prec1` (a fraction),
`optimizer`, `cfg` (widths of a pruned network). Under `netslim`: architecture, plan, data set, training state and
provenance, so that a file can be reopened from the file alone.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from netslim.core.archive import read_archive, write_archive
from netslim.core.errors import CheckpointError
from netslim.core.files import check_readable
from netslim.core.protocols import ArchSpec
from netslim.core.runs.file_names import CHECKPOINT, RECORD
from netslim.core.schemas import Architecture, OwnPart, RunRecord, TaskFacts, TopLevel, as_model, read_json

FORMAT = 1
_WRAPPERS = ("_orig_mod.", "module.", "_orig_mod.")  # of torch.compile and DataParallel, one in the other or not


@dataclass(kw_only=True)
class Checkpoint:
    """What a file holds. Missing parts are None or empty.

    Attributes:
        state_dict: weights and buffers by name, without a `module.` prefix.
        arch: how to build the unpruned network; None in the original scripts' files.
        plan: the channels that stay, as plain data (see `PrunePlan.to_dict`).
        cfg: the original's flat list of widths (VGG's has an `M` for each pooling).
        epoch: number of finished epochs.
        best_prec1: best top-1 accuracy so far as a fraction, on the split named in `training["judged_on"]` after a
            pruning, else in `training["selected_on"]`.
        optimizer: the optimizer's state in torch's format, numbered as the original's optimizer numbers its parameters.
        dataset: name, class names, normalisation and image shape.
        task: loss and metric, where they are not cross-entropy and top-1.
        training: what resumption needs, and which split chose the model.
        provenance: run id, stage, parent's hash, versions, configuration.
        extra: further top-level keys (the transfer's `source`, `source_model`, `dataset`, `depth`).
    """

    state_dict: dict[str, Tensor]
    arch: ArchSpec | None = None
    plan: dict[str, Any] | None = None
    cfg: list[int | str] | None = None
    epoch: int = 0
    best_prec1: float = 0.0
    optimizer: dict[str, Any] | None = None
    dataset: dict[str, Any] | None = None
    task: TaskFacts | None = None
    training: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)


_OWN_KEYS = ("state_dict", "epoch", "best_prec1", "optimizer", "cfg", "netslim")


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Writes the file atomically. Raises NetslimError if it can't."""
    write_archive(path, checkpoint_data(checkpoint))


def checkpoint_data(checkpoint: Checkpoint) -> dict[str, Any]:
    """The dict that is written: dense CPU tensors, numbers, strings, lists and dicts only."""
    data: dict[str, Any] = {
        **checkpoint.extra,
        "epoch": checkpoint.epoch,
        "state_dict": {key: value.detach().cpu().contiguous() for key, value in checkpoint.state_dict.items()},
        "best_prec1": checkpoint.best_prec1,
    }
    if checkpoint.optimizer is not None:
        data["optimizer"] = checkpoint.optimizer
    if checkpoint.cfg is not None:
        data["cfg"] = list(checkpoint.cfg)
    own = {
        "format": FORMAT,
        "arch": checkpoint.arch.to_dict() if checkpoint.arch else None,
        "plan": checkpoint.plan,
        "dataset": checkpoint.dataset,
        "training": checkpoint.training,
        "provenance": checkpoint.provenance,
    }
    data["netslim"] = own | ({"task": checkpoint.task.model_dump()} if checkpoint.task else {})
    return data


def read_checkpoint(path: Path) -> Checkpoint:
    """Reads netslim's files and those of the original scripts.

    Raises:
        CheckpointError: the file is missing, damaged, unsafe, from a newer netslim, or has no state_dict.
    """
    if path.suffix.lower() == ".onnx" and path.is_file():
        raise CheckpointError(f"{path} is an ONNX file, not a checkpoint: it can be pruned, exported, judged and timed")
    check_readable(path)
    try:
        data = read_archive(path)
    except CheckpointError as error:
        raise CheckpointError(f"{error}{_way_out(path)}") from error
    try:
        top = as_model(TopLevel, {key: _number(data[key]) for key in _OWN_KEYS[1:] if key in data})
    except ValueError as error:
        raise CheckpointError(f"{path} is no checkpoint of netslim or of the original scripts: {error}") from error
    own = top.netslim or OwnPart()
    if own.format > FORMAT:
        raise CheckpointError(f"{path} was written by a newer netslim (format {own.format}, known: {FORMAT})")
    return Checkpoint(
        state_dict=_state_dict(data, path, foreign=top.netslim is None),
        arch=arch_spec(own.arch),
        plan=own.plan,
        cfg=list(top.cfg) if top.cfg is not None else None,
        epoch=top.epoch,
        best_prec1=top.best_prec1,
        optimizer=data.get("optimizer"),
        dataset=own.dataset.model_dump(exclude_unset=True) if own.dataset else None,
        task=own.task,
        training=own.training or {},
        provenance=own.provenance or {},
        extra={key: value for key, value in data.items() if key not in _OWN_KEYS},
    )


def _way_out(path: Path) -> str:
    """What to do about a file that can't be read, where it is the state of an unfinished run in its own folder."""
    try:
        running = path.name == CHECKPOINT and as_model(RunRecord, read_json(path.with_name(RECORD))).status == "running"
    except (OSError, ValueError):
        return ""
    return (
        "; it is the state of an unfinished run: delete this file, and the run's command begins anew" if running else ""
    )


def arch_spec(found: Architecture | None) -> ArchSpec | None:
    """What a file says of how its network is built."""
    return ArchSpec(name=found.name, arguments=found.arguments, sha256=found.sha256) if found else None


def _number(value: Any) -> Any:
    """A number that a script left in a tensor (also in a list) as a number; a whole one as an integer."""
    if isinstance(value, list):
        return [_number(item) for item in value]
    if isinstance(value, Tensor) and value.numel() == 1:
        value = value.item()
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _state_dict(data: dict[str, Any], path: Path, *, foreign: bool) -> dict[str, Tensor]:
    state = data.get("state_dict", data if data and all(isinstance(v, Tensor) for v in data.values()) else None)
    if not isinstance(state, dict) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        found = ", ".join(list(data)[:8]) or "nothing"
        raise CheckpointError(f"{path} has no state_dict (it has: {found})")
    wrappers = _WRAPPERS if foreign else ()  # netslim writes none: there it is a part of that name
    return {_without(wrappers, str(key)): value for key, value in state.items()}


def _without(prefixes: tuple[str, ...], key: str) -> str:
    for prefix in prefixes:
        key = key.removeprefix(prefix)
    return key
