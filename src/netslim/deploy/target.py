"""What an export target has to offer."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, fx, nn

from netslim.core.errors import NetslimError, UsageError, first_line
from netslim.core.plugins.registry import Registry
from netslim.deploy.int8.request import Quantization, Quantized
from netslim.deploy.signature import Example

Run = Callable[..., Any]  # the network's inputs to its outputs


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """What is exported.

    Attributes:
        model: the trained network.
        network: the network for inference in the form that was chosen; `model` itself where there is no graph of it.
        example: an input (N, C, H, W), N >= 2; a tuple of inputs or a dict by name, for `model` itself only.
        facts: what the file says of itself: architecture, plan, data set, input shape, cost, form, versions.
        reopen: what builds a trained network from a folder of target safetensors.
        why: there is no graph of it, where there is none.
    """

    model: nn.Module
    network: nn.Module
    example: Example
    facts: Mapping[str, Any]
    reopen: Callable[[Path], nn.Module]
    why: str | None = None


Start = Callable[[str, Tensor, int], Callable[[], object]]


@dataclass(frozen=True, kw_only=True)
class Runnable:
    """The network in an exported file, to be run beside others.

    Attributes:
        start: gives the call that runs it once, for an engine, a batch and a number of threads.
        shape: of one input (C, H, W), where the file fixes it.
        macs: for one input, of the trained network: padding and zero columns are not counted.
    """

    start: Start
    shape: tuple[int, ...] | None = None
    macs: int | None = None


@dataclass(frozen=True, kw_only=True)
class Target:
    """A kind of file: how it is written, opened and run. Its module registers one instance in `TARGETS`.

    Attributes:
        summary: a few words for lists, where the name does not say it.
        suffix: of the file's name; empty for a folder.
        engines: what runs its files; none for a file that is opened as a checkpoint.
        for_inference: whether it holds the network for inference, or else the trained one.
        layouts: the memory layouts that are tried.
        clamp: whether BatchNorm and ReLU before convolutions are best as one clamp, where nothing is measured.
        holds_code: whether opening its files runs code from them.
        has_int8, has_half: whether its files can hold 8-bit integers, or weights of 16 bits.
        takes_several: whether it writes graphs of several inputs; else it gets the network itself.
        packages: modules that must be importable.
        extra: of netslim, which installs them.
    """

    summary: str = ""
    suffix: str = ""
    engines: tuple[str, ...] = ()
    for_inference: bool = True
    layouts: tuple[str, ...] = ("nchw",)
    clamp: bool = True
    holds_code: bool = False
    has_int8: bool = False
    has_half: bool = False
    takes_several: bool = False
    packages: tuple[str, ...] = ()
    extra: str = "export"

    def check(self, name: str) -> None:
        """Raises UsageError if a package is missing."""
        for package in self.packages:
            try:
                importlib.import_module(package)
            except ImportError as error:
                raise UsageError(
                    f"target {name} needs the package {package}, which is not installed; "
                    f"type pip install 'netslim[{self.extra}]'"
                ) from error

    def caller(self, network: fx.GraphModule, example: Tensor) -> Callable[[], object]:
        """The call that is timed to choose a form: by default the network itself, run by torch."""
        return lambda: network(example)

    def caller_in_int8(self, network: fx.GraphModule, example: Tensor) -> Callable[[], object]:
        """The same with layers in 8-bit integers, whose ranges are made up; not called without `has_int8`."""
        raise NotImplementedError

    def write(self, bundle: Bundle, path: Path) -> None:
        """Writes the file or folder; `path` is a temporary name."""
        raise NotImplementedError

    def open(self, bundle: Bundle, path: Path) -> Run:
        """Reads what was written, as its user will, and runs it: inputs on the CPU to outputs."""
        raise NotImplementedError

    def quantize(self, path: Path, request: Quantization, source: Path) -> Quantized:
        """Puts int8 in the place of the float network in a file; not called without `has_int8`.

        Args:
            path: the network in float, in the form that is fastest so.
            request: images, judge, and what may be lost.
            source: what int8 is made of: the same network in float, perhaps in another form; may be `path`.
        """
        raise NotImplementedError

    def halve(self, path: Path) -> None:
        """Puts weights of 16 bits in the place of those in a file; not called without `has_half`."""
        raise NotImplementedError

    def recognises(self, path: Path, facts: Mapping[str, Any]) -> bool:  # noqa: ARG002
        """Whether `runnable` opens a file, or a folder whose `config.json` says `facts`: by default, by its ending."""
        return bool(self.suffix) and path.suffix == self.suffix

    def runnable(self, path: Path, facts: Mapping[str, Any]) -> Runnable:
        """Opens what it recognises. Raises CheckpointError if that is damaged; not called without engines."""
        raise NotImplementedError


TARGETS: Registry[Target] = Registry("target", "netslim.deploy.targets")


def start_with_torch(network: nn.Module) -> Start:
    """Runs a network by torch: as it is for engine `eager`, compiled for `compiled`."""

    def start(engine: str, images: Tensor, _: int) -> Callable[[], object]:
        ready = compiled(network, images) if engine == "compiled" else network
        return lambda: ready(images)

    return start


def compiled(network: nn.Module, images: Tensor) -> nn.Module:
    """The network, compiled for a batch. Raises NetslimError if that fails."""
    ready = cast(nn.Module, torch.compile(network, dynamic=False))
    try:
        ready(images)
    except Exception as error:  # torch.compile's own errors, and those of the compiler it calls
        raise NetslimError(
            f"torch.compile failed: {first_line(error)}; it needs a C++ compiler: leave the engine compiled out"
        ) from error
    return ready


def input_of(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What a file's facts say of `Runnable.shape` and `Runnable.macs`."""
    shape = facts.get("input_shape")
    return {"shape": tuple(shape) if shape else None, "macs": facts.get("macs")}


def without_gradients(network: nn.Module) -> Run:
    """A network as a plain function."""

    def run(*args: Any, **kwargs: Any) -> Any:
        with torch.inference_mode():
            return network(*args, **kwargs)

    return run
