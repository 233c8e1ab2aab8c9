"""What a run time's quantiser has to offer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar

from torch import Tensor

from netslim.core.errors import DataError, NetslimError

Function = Callable[[Tensor], Tensor]


class Quantizer(ABC):
    """A network in float, and the same with layers in int8. A model is whatever the run time keeps in its files.

    Attributes:
        run_time: its name.
        kinds: which kinds of models there are: with what is around layers in int8, too, or layers alone.
        float_content: the float model.
        layers: names of the convolutions and matrix products that can be in int8.
        integers: kinds of numbers, as `U8S8`.
    """

    run_time: ClassVar[str]
    kinds: ClassVar[Sequence[bool]] = (True,)
    float_content: Any
    layers: list[str]
    integers: str

    @abstractmethod
    def model(self, in_float: Collection[str] = (), *, around: bool = True, only: str | None = None) -> Any:
        """The model in int8.

        Args:
            in_float: layers that stay in float.
            around: whether additions, pooling and the like are in int8, too, or layers alone.
            only: the only layer in int8.
        """

    @abstractmethod
    def function(self, content: Any) -> Function:
        """A model as a function of images. Raises NetslimError for a network of several outputs."""

    @abstractmethod
    def layers_in_int8(self, content: Any) -> int:
        """How many layers the run time multiplies in int8, counted in what it makes of the model."""

    @abstractmethod
    def size(self, content: Any) -> int:
        """Bytes of the model's files."""

    def with_facts(self, content: Any, facts: Mapping[str, Any]) -> Any:  # noqa: ARG002
        """The model with what it says of itself, where that stands in the same file."""
        return content


def single(outputs: Tensor | list[Tensor]) -> Tensor:
    """The only output. Raises NetslimError for several."""
    if isinstance(outputs, list):
        raise NetslimError(f"int8 is for networks with one output, and this one has {len(outputs)}")
    return outputs


def check_differ(images: Sequence[Tensor]) -> None:
    """Raises DataError if all images are the same."""
    if not images or not any(bool((batch != images[0][:1]).any()) for batch in images):
        count = sum(map(len, images))
        raise DataError(
            f"the calibration images ({count}) are all the same: what a network does with one image "
            f"says nothing of its ranges; give some of those that it was trained for"
        )


def no_layers() -> NetslimError:
    """For a network that int8 is not for."""
    return NetslimError("this network has no convolution and no matrix product with weights: nothing to quantise")
