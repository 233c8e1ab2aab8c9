"""Small constructs of networks as strangers write them, one or more per kind of operation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

WIDTH = 16  # channels of the stem
SIDE = 16  # of the images


@dataclass(frozen=True)
class Construct:
    """A network to be tried.

    Attributes:
        name, kind: what it is called, and what it shows.
        build: builds it.
        example: gives what it runs on.
    """

    name: str
    kind: str
    build: Callable[[], nn.Module]
    example: Callable[[], Any]


CONSTRUCTS: dict[str, Construct] = {}


def images() -> Tensor:
    return torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


def register(
    name: str, kind: str, build: Callable[[], nn.Module], example: Callable[[], Any] = images
) -> Callable[[], nn.Module]:
    if name in CONSTRUCTS:
        raise ValueError(f"two constructs are called {name}")
    CONSTRUCTS[name] = Construct(name, kind, build, example)
    return build


def construct(kind: str, example: Callable[[], Any] = images) -> Callable[[Callable[[], nn.Module]], Any]:
    """Registers a class or function that builds a whole network, under its name."""
    return lambda build: register(build.__name__, kind, build, example)


def middle(kind: str, width: int = WIDTH, **options: Any) -> Callable[[Callable[[], nn.Module]], Any]:
    """Registers a part that is put between a stem of `WIDTH` channels and a head that reads `width`."""
    return lambda build: register(build.__name__, kind, lambda: Around(build(), width, **options))


def function(kind: str, name: str, call: Callable[..., Any], width: int = WIDTH, **options: Any) -> None:
    """The same for a function of one tensor."""
    register(name, kind, lambda: Around(Function(call), width, **options))


def conv_bn(inputs: int, outputs: int, kernel: int = 3, **options: Any) -> nn.Sequential:
    options = {"padding": kernel // 2, "bias": False, **options}
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, **options), nn.BatchNorm2d(outputs), nn.ReLU())


class Function(nn.Module):
    """A function as a module."""

    def __init__(self, call: Callable[..., Any]) -> None:
        super().__init__()
        self.call = call

    def forward(self, *given: Any) -> Any:
        return self.call(*given)


class Around(nn.Module):
    """A stem, the part in question, and a head: a convolution and a classifier."""

    def __init__(self, part: nn.Module, width: int = WIDTH, last: nn.Module | None = None) -> None:
        super().__init__()
        self.stem, self.part = conv_bn(3, WIDTH), part
        self.last = conv_bn(width, 12) if last is None else last
        self.classifier = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.last(self.part(self.stem(x))).mean((2, 3)))
