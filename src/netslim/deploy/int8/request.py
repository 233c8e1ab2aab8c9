"""What int8 needs besides a network, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from netslim.core.errors import DataError, NetslimError
from netslim.cost import Latency

Judge = Callable[[Callable[[Tensor], Tensor]], float]


class NothingInInt8Error(NetslimError):
    """With any one layer in int8 more is lost than is allowed."""


@dataclass(frozen=True, kw_only=True)
class Quantization:
    """How a network gets 8-bit integers.

    Attributes:
        images: batches (N, C, H, W), as the network takes them: the ranges of its activations are measured on them.
        judge: what a function from images to outputs is worth, on other images than those above; the larger, the
            better (an accuracy: 0.9). Ask it the same twice, and it says the same.
        test: the same on images that choose nothing; asked about both networks at the end.
        allowed: how much of that may be lost.
        always: whether a network that is not faster in int8 on this machine is written in int8 all the same.
        batch: images per call when both are timed.
        seconds: measured time of each.
        progress: called with what is tried next, in a few words.

    Raises:
        DataError: the images are no list of tensors.
    """

    images: Sequence[Tensor]
    judge: Judge
    test: Judge | None = None
    allowed: float = 0.005
    always: bool = False
    batch: int = 1
    seconds: float = 1.0
    progress: Callable[[str], None] = lambda _: None

    def __post_init__(self) -> None:
        given = self.images
        listed = isinstance(given, Sequence) and all(isinstance(batch, Tensor) for batch in given)
        if not listed:  # they are read more than once
            raise DataError(
                f"images of type {type(given).__name__}: give a list of batches (N, C, H, W), without labels"
            )


@dataclass(frozen=True, kw_only=True)
class Quantized:
    """A network in int8 beside the same in float.

    Attributes:
        content: of the file in int8, or the files by name.
        written: whether that is what the file holds, or float.
        run_time: what runs it.
        integers: kinds of numbers, as `U8S8`.
        layers: convolutions and matrix products.
        layers_int8: how many of them the run time really runs in int8.
        layers_float: names of those that were kept in float.
        judged_float, judged_int8: what the judge said.
        test_float, test_int8: what `test` said.
        agreement: share of the predictions (largest output) that are the same; None for other outputs.
        bytes_float, bytes_int8: size of the file.
        time_float, time_int8: of one call, measured in turns.
        calibrated_on: images.
    """

    content: bytes | Mapping[str, bytes]
    written: bool
    run_time: str
    integers: str
    layers: int
    layers_int8: int
    layers_float: tuple[str, ...]
    judged_float: float
    judged_int8: float
    test_float: float | None
    test_int8: float | None
    agreement: float | None
    bytes_float: int
    bytes_int8: int
    time_float: Latency
    time_int8: Latency
    calibrated_on: int

    @property
    def speed_up(self) -> float:
        """Time in float over time in int8."""
        return self.time_float.median / self.time_int8.median

    def facts(self) -> dict[str, Any]:
        """What the file says of itself."""
        return {
            "run_time": self.run_time,
            "integers": self.integers,
            "layers": self.layers,
            "layers_int8": self.layers_int8,
            "layers_float": list(self.layers_float),
            "judged_float": self.judged_float,
            "judged_int8": self.judged_int8,
            "test_float": self.test_float,
            "test_int8": self.test_int8,
            "agreement": self.agreement,
            "calibrated_on": self.calibrated_on,
        }
