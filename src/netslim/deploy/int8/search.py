"""Which layers stay in float: as few as the allowed loss lets, those that do most harm in int8 first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from netslim.deploy.int8.quantizer import Quantizer
from netslim.deploy.int8.request import Quantization


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A model, what the judge said of it, and its predictions on the judge's images in order.

    Attributes:
        predictions: index of the largest output in dimension 1 of every batch; none for outputs without one.
    """

    content: Any
    value: float
    predictions: tuple[Tensor, ...]
    in_float: tuple[str, ...] = ()
    around: bool = True

    def agreement(self, other: Judged) -> float | None:
        """Share of the predictions that are the same."""
        own, others = self.predictions, other.predictions
        if not own or [part.shape for part in own] != [part.shape for part in others]:
            return None
        same = sum(int((a == b).sum()) for a, b in zip(own, others, strict=True))
        return same / sum(part.numel() for part in own)


def judged(
    quantizer: Quantizer, content: Any, request: Quantization, in_float: Sequence[str] = (), around: bool = True
) -> Judged:
    """Asks the judge about a model. Raises NetslimError for a network of several outputs."""
    run, predictions = quantizer.function(content), list[Tensor]()

    def recorded(images: Tensor) -> Tensor:
        outputs = run(images)
        if outputs.ndim > 1 and outputs.shape[1] > 1:
            predictions.append(outputs.argmax(1))
        return outputs

    value = request.judge(recorded)
    return Judged(content=content, value=value, predictions=tuple(predictions), in_float=tuple(in_float), around=around)


def within(quantizer: Quantizer, request: Quantization, least: float, kinds: Sequence[bool]) -> Judged | None:
    """A model that is judged at least `least`, with as few layers in float as that takes.

    Args:
        quantizer: makes the models.
        request: its judge and its images.
        least: what the judge has to say.
        kinds: whether what is around layers is in int8, too: the preferred one first, which is the one to get layers
            in float if neither is good enough as it is.

    Returns:
        None where not even a single layer can be in int8.
    """

    def tried(count: int, around: bool) -> Judged:
        request.progress(f"{count} of {len(order)} layers in float" if count else "all layers in int8")
        names = order[:count]
        return judged(quantizer, quantizer.model(names, around=around), request, names, around=around)

    order = list(quantizer.layers)
    for around in kinds:
        found = tried(0, around)
        if found.value >= least:
            return found
    order = by_harm(quantizer, request)
    tries: dict[int, Judged] = {}

    def is_enough(count: int) -> bool:
        tries[count] = tried(count, kinds[0])
        return tries[count].value >= least

    count = fewest(len(order), is_enough)
    return None if count is None else tries[count]


def fewest(limit: int, is_enough: Callable[[int], bool]) -> int | None:
    """The smallest number from 1 up to but not including `limit` that is enough, if those above it are, too.

    It is found by doubling, then by halves. None: none is.
    """
    low, high = 0, 1
    while high < limit and not is_enough(high):
        low, high = high, 2 * high
    if high >= limit:
        low, high = low, limit  # `limit` itself is no answer, but those below were not all asked
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high if high < limit else None


def by_harm(quantizer: Quantizer, request: Quantization) -> list[str]:
    """The layers, those first that change the outputs most where they alone are in int8."""
    images = request.images[0]
    right = quantizer.function(quantizer.float_content)(images)
    harm: dict[str, float] = {}
    for number, name in enumerate(quantizer.layers):
        request.progress(f"what a layer in int8 costs: {number + 1} of {len(quantizer.layers)}")
        own = quantizer.function(quantizer.model(only=name))(images)
        harm[name] = float((own - right).square().mean())
    return sorted(harm, key=lambda name: -harm[name])
