"""Weight files of source networks: safe reading, unwrapping, and whether they hold the network that was named."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from netslim.core.archive import read_archive
from netslim.core.errors import CheckpointError, first_of, setting, with_article

Shapes = Mapping[str, tuple[int, ...]]

# Where training scripts put the weights; the averaged ones first, as timm does.
_NESTS = ("state_dict_ema", "model_ema", "state_dict", "model_state_dict", "model_state", "model", "net", "weights")
# What DataParallel and torch.compile put before every key.
_PREFIXES = ("module.", "_orig_mod.")
# Classifiers: of most ResNets, of timm's resnetv2, of timm's legacy SE-ResNets.
_HEADS = ("fc.", "head.", "last_linear.", "classifier.")
_LISTED = 10


def read_weights(path: Path) -> dict[str, Tensor]:
    """The state dict in a file, unwrapped, on the CPU.

    Raises:
        CheckpointError: the file is missing, damaged, unsafe, or holds no state dict.
    """
    if not path.is_file():
        raise CheckpointError(f"there is no weights file at {path}")
    state = _tensors(_read_safetensors(path) if path.suffix == ".safetensors" else read_archive(path))
    if not state:
        raise CheckpointError(f"{path} holds no state dict, neither plain nor under {', '.join(_NESTS)}")
    return _without_prefix(state)


def check_fits(
    path: Path,
    state: Mapping[str, Tensor],
    name: str,
    shapes_of: Callable[[str], Shapes],
    candidates: Sequence[str],
) -> None:
    """Raises CheckpointError, with the likeliest of `candidates`, unless `state` holds the network called `name`.

    The head is not compared: it depends on the classes, and a fine-tuned network has others.
    """
    given = {key: tuple(tensor.shape) for key, tensor in state.items()}
    expected = shapes_of(name)
    found = mismatches(given, expected)
    if not found:
        return
    raise CheckpointError(
        f"{path} does not hold {with_article(name)}: {len(found)} tensors differ: {first_of(found, _LISTED, '; ')}"
        f"{_suggestion(given, name, shapes_of, candidates)}"
    )


def mismatches(given: Shapes, expected: Shapes) -> list[str]:
    """What is wrong with the keys and shapes of a network's tensors, one phrase per tensor, in network order.

    The head is left out: it depends on the classes.
    """
    found = []
    for key, shape in expected.items():
        if key not in given:
            # Files written before PyTorch 0.4.1 have no batch counters.
            if not (_is_head(key) or key.endswith("num_batches_tracked")):
                found.append(f"{key} is missing")
        elif given[key] != shape and not _is_head(key):
            found.append(f"{key} is {given[key]} instead of {shape}")
    return found + [f"{key} does not belong" for key in given if key not in expected and not _is_head(key)]


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return dict(load_file(path))
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is not a whole safetensors file ({error}): get it again") from error


def _tensors(data: Mapping[str, Any]) -> dict[str, Tensor]:
    """The state dict in a checkpoint: under a known name, or the checkpoint itself."""
    for nest in _NESTS:
        if isinstance(data.get(nest), Mapping):
            return _tensors(data[nest])
    return {str(key): value for key, value in data.items() if isinstance(value, Tensor)}


def _without_prefix(state: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in _PREFIXES:
        if all(key.startswith(prefix) for key in state):
            return _without_prefix({key.removeprefix(prefix): tensor for key, tensor in state.items()})
    return state


def _is_head(key: str) -> bool:
    return key.startswith(_HEADS)


def _suggestion(given: Shapes, name: str, shapes_of: Callable[[str], Shapes], candidates: Sequence[str]) -> str:
    """The end of a message that names the candidate most like the file, unless that is what was asked for."""
    agreement = {candidate: _agreement(given, shapes_of(candidate)) for candidate in (name, *candidates)}
    best = max(agreement, key=lambda candidate: agreement[candidate])
    if best == name or not agreement[best]:
        return ""
    return f"; it looks like {with_article(best)}: type {setting('model_name', best)}"


def _agreement(given: Shapes, expected: Shapes) -> float:
    """Share of equal (key, shape) pairs among all of both."""
    return len(given.items() & expected.items()) / len(given.items() | expected.items())
