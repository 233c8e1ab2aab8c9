"""Networks in files: `load` needs nothing but the file, `save` nothing but the network."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from netslim.core.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from netslim.core.errors import CheckpointError, NetslimError, UsageError
from netslim.core.protocols import PrunableModel
from netslim.models import build, check_known, recognise
from netslim.pruning import apply, plan_from_dict

SHOWN = 10


def load(path: str | Path) -> PrunableModel:
    """The network in a file, rebuilt from the file alone, in eval mode on the CPU.

    Reads netslim's files and those of the original network-slimming scripts (also without `cfg`, with `module.`
    prefixes, or from torch 0.3).

    Raises:
        CheckpointError: the file is missing, damaged, unsafe, or its weights fit no known architecture.
    """
    return restore(read_checkpoint(Path(path)), Path(path)).eval()


def save(path: str | Path, model: PrunableModel) -> None:
    """Writes a network to a file that `load` opens.

    Raises:
        UsageError: the network is of no registered architecture.
        NetslimError: the file can't be written.
    """
    write_checkpoint(Path(path), describe(model))


def describe(model: PrunableModel) -> Checkpoint:
    """A checkpoint with the network's weights, architecture and plan; the rest is the caller's.

    Raises:
        UsageError: the network is of no registered architecture, so its file could not be opened again.
    """
    if not isinstance(model, PrunableModel) or getattr(model, "arch", None) is None:
        raise UsageError(
            f"{type(model).__name__} does not say how it is built, so its file could not be opened again: "
            f"build the network with netslim.create_model"
        )
    check_known(model.arch.name)
    return Checkpoint(
        state_dict=model.state_dict(),
        arch=model.arch,
        plan=model.plan.to_dict() if model.plan else None,
        cfg=[*model.cfg] if model.plan or "cfg" in model.arch.arguments else None,
    )


def restore(checkpoint: Checkpoint, path: Path) -> PrunableModel:
    """The network of a checkpoint that was read from `path` (named in errors). Raises CheckpointError."""
    state = checkpoint.state_dict
    arch = checkpoint.arch or recognise(state)
    if arch is None:
        raise CheckpointError(
            f"{path}: these weights fit no architecture that netslim knows (first keys: {', '.join(list(state)[:4])})"
        )
    try:
        model = build(arch)
        if checkpoint.plan is not None:
            model = apply(model, plan_from_dict(checkpoint.plan))
    except NetslimError as error:
        raise CheckpointError(f"{path}: {error}") from error
    load_weights(model, state, str(path))
    return model


def load_weights(model: PrunableModel, state: Mapping[str, Tensor], origin: str) -> None:
    """Copies `state` into `model`, all of it or nothing.

    Files from torch 0.3 lack `num_batches_tracked`, which then starts at zero.

    Raises:
        CheckpointError: keys, shapes or numbers of chosen channels differ; the first ten differences are listed.
    """
    own = model.state_dict()
    state = {k: v for k, v in own.items() if k.endswith("num_batches_tracked")} | dict(state)
    compared = [_difference(key, own.get(key), state.get(key)) for key in {**own, **state}]
    wrong = [difference for difference in compared if difference]
    if wrong:
        more = f"; and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        raise CheckpointError(
            f"{origin} does not fit {model.arch.name} {dict(model.arch.arguments)}: {'; '.join(wrong[:SHOWN])}{more}"
        )
    model.load_state_dict(dict(state))


def _difference(key: str, own: Tensor | None, given: Tensor | None) -> str | None:
    if given is None:
        return f"{key} is missing"
    if own is None:
        return f"{key} is not in the network"
    if given.shape != own.shape:
        return f"{key} is {tuple(given.shape)}, not {tuple(own.shape)}"
    if key.endswith(".indexes") and given.count_nonzero() != own.count_nonzero():  # what follows has as many inputs
        return f"{key} chooses {int(given.count_nonzero())} channels, not {int(own.count_nonzero())}"
    return None
