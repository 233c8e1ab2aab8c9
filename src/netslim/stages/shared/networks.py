"""The network in a file: netslim's own, or one that code of the user's own builds, if the user names it."""

import functools
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from netslim.core.checkpoint import Checkpoint
from netslim.core.errors import ArgumentError, CheckpointError, NetslimWarning, UsageError, setting, with_article
from netslim.core.plugins.references import is_reference, literals, load_reference
from netslim.models.own import arch_of, own_network
from netslim.network import read, restore
from netslim.stages.shared.architectures import fresh_model

_ONLY_OWN = "only code of your own takes them: type `arch='FILE.py:NAME'`, or leave it out"


def new_network(
    arch: str, arch_args: list[str], depth: int | None = None, stem: str | None = None, **shape: int | None
) -> nn.Module:
    """A new network, registered or of the user's own; `shape` is `num_classes` and `in_channels`, if they are known.

    Raises:
        UsageError: an unknown architecture, or a setting that it lacks.
        UserCodeError: the user's code raises something.
    """
    known = {name: number for name, number in shape.items() if number is not None}
    if not is_reference(arch):
        if arch_args:
            raise ArgumentError("arch_args", arch_args, _ONLY_OWN)
        return fresh_model(arch, depth, stem, **known)
    for name, value in (("depth", depth), ("stem", stem)):
        if value is not None:
            raise ArgumentError(name, value, f"{arch} is code of your own: type `arch_args=['{name}={value}']`")
    return own_network(load_reference("arch", arch), literals("arch_args", arch_args), known)


def open_network(checkpoint: Checkpoint, path: Path, arch: str | None, arch_args: list[str]) -> nn.Module:
    """The network of a checkpoint that was read from `path`.

    Args:
        checkpoint: what the file holds.
        path: for messages.
        arch: the code that builds it, which the user names; a registered name is not looked at.
        arch_args: what the code is called with, in place of what the file says.

    Raises:
        CheckpointError: the file holds a network of code that was not named, or one that does not fit.
        ArgumentError: arguments without code that takes them.
        UserCodeError: the user's code raises something.
    """
    spec = checkpoint.arch
    own = arch if arch is not None and is_reference(arch) else None
    if spec is None or not is_reference(spec.name):
        if own is None and arch_args:
            raise ArgumentError("arch_args", arch_args, _ONLY_OWN)
        if own is not None and spec is not None:
            raise CheckpointError(
                f"{path} holds {with_article(spec.name)}, which is not code of your own: leave `arch` out"
            )
        if own is not None:
            return restore(checkpoint, path, _built(own, {}, arch_args))
        try:
            return restore(checkpoint, path)
        except CheckpointError as error:
            if arch is None or spec is not None:
                raise
            raise CheckpointError(
                f"{error}; {setting('arch', arch)} is no code of your own and does not apply"
            ) from error
    if own is None:
        raise UsageError(f"{path} holds a network of {spec.name}: type {setting('arch', spec.name)}")
    model = _built(own, spec.arguments, arch_args)
    found = arch_of(model)
    if found is not None and spec.sha256 not in (None, found.sha256):
        said = f"has changed since {path} was written" if own == spec.name else f"is not the {spec.name} of {path}"
        warnings.warn(f"{own} {said}: its weights fit, or this ends with what does not", NetslimWarning, stacklevel=2)
    return restore(checkpoint, path, model)


def sound_network(checkpoint: Checkpoint, path: Path, arch: str | None, arch_args: list[str]) -> nn.Module:
    """The same where more is done with the network than to judge it.

    Raises:
        CheckpointError: also a weight or a statistic that is not finite, or a variance below zero.
    """
    model = open_network(checkpoint, path, arch, arch_args)
    for name, own in (*model.named_parameters(), *model.named_buffers()):
        statistic = name.rpartition(".")[2] if name.endswith(("running_mean", "running_var")) else ""
        if (isinstance(own, nn.Parameter) or statistic) and not own.isfinite().all():
            raise CheckpointError(f"{path}: '{name}' has numbers that are not finite; take another file")
        if statistic == "running_var" and bool((own < 0).any()):
            raise CheckpointError(f"{path}: '{name}' has variances below zero; take another file")
    return model


def _built(own: str, recorded: Mapping[str, Any], arch_args: list[str]) -> nn.Module:
    return own_network(load_reference("arch", own), {**recorded, **literals("arch_args", arch_args)})


def loader(arch: str | None, arch_args: list[str]) -> Callable[[Path], nn.Module]:
    """What opens any of several files, in other processes, too: those of registered networks need no code."""
    return functools.partial(_load_any, arch=arch, arch_args=arch_args)


def _load_any(path: Path, *, arch: str | None, arch_args: list[str]) -> nn.Module:
    checkpoint = read(path)
    registered = checkpoint.arch is not None and not is_reference(checkpoint.arch.name)
    named = (None, []) if registered else (arch, arch_args)
    return open_network(checkpoint, path, *named).eval()


def name_of(model: nn.Module) -> str:
    """The architecture of a network."""
    arch = arch_of(model)
    return arch.name if arch else type(model).__name__


def arguments_of(model: nn.Module) -> dict[str, Any]:
    """What the architecture was built with."""
    arch = arch_of(model)
    return dict(arch.arguments) if arch else {}
