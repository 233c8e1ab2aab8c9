"""What an export target has to offer."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, fx, nn

from netslim.core.errors import UsageError
from netslim.core.registry import Registry
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
    """

    model: nn.Module
    network: nn.Module
    example: Example
    facts: Mapping[str, Any]
    reopen: Callable[[Path], nn.Module]


class Target:
    """A kind of file: how it is written, opened and run. Its module registers one instance in `TARGETS`.

    Attributes:
        suffix: of the file's name; empty for a folder.
        for_inference: whether it holds the network for inference, or else the trained one.
        layouts: the memory layouts that are tried.
        bounds: whether BatchNorm and ReLU before convolutions are best as bounds, where nothing is measured.
        packages: modules that must be importable.
    """

    suffix: ClassVar[str] = ""
    for_inference: ClassVar[bool] = True
    layouts: ClassVar[Sequence[str]] = ("nchw",)
    bounds: ClassVar[bool] = True
    packages: ClassVar[Sequence[str]] = ()

    def check(self, name: str) -> None:
        """Raises UsageError if a package is missing."""
        for package in self.packages:
            try:
                importlib.import_module(package)
            except ImportError as error:
                raise UsageError(
                    f"target {name} needs the package {package}, which is not installed; "
                    f"type pip install 'netslim[export]'"
                ) from error

    def caller(self, network: fx.GraphModule, example: Tensor) -> Callable[[], object]:
        """The call that is timed to choose a form: by default the network itself, run by torch."""
        return lambda: network(example)

    def write(self, bundle: Bundle, path: Path) -> None:
        """Writes the file or folder; `path` is a temporary name."""
        raise NotImplementedError

    def open(self, bundle: Bundle, path: Path) -> Run:
        """Reads what was written, as its user will, and runs it: inputs on the CPU to outputs."""
        raise NotImplementedError


TARGETS: Registry[Target] = Registry("target", "netslim.deploy.targets")


def without_gradients(network: nn.Module) -> Run:
    """A network as a plain function."""

    def run(*args: Any, **kwargs: Any) -> Any:
        with torch.inference_mode():
            return network(*args, **kwargs)

    return run
