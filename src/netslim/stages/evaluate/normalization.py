"""How the images are normalised that judge a network: as its file says, or the user."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from netslim.data import AnyDataset, ImageDataset
from netslim.report.console import say
from netslim.stages.evaluate.config import EvaluateConfig
from netslim.stages.shared.lists import pixel_numbers, with_spaces

ASKED = ("mean", "std")


def as_taken(
    dataset: AnyDataset,
    config: EvaluateConfig,
    facts: Mapping[str, Any] | None,
    usual: tuple[float, float] | None = None,
) -> AnyDataset:
    """The data set with its images as the network takes them; where its file does not say, a line says what is taken.

    Args:
        dataset: as it was opened with these facts.
        config: with what the user says.
        facts: what the file says of a data set.
        usual: mean and deviation where nobody says anything; None: the data set's own.

    Raises:
        UsageError: the user says it of samples that come as they are.
    """
    if not isinstance(dataset, ImageDataset):
        config.refuse(ASKED, "the data set is your own, and gives its samples as the network takes them")
        return dataset
    unsaid = (config.mean, config.std) == (None, None)
    if unsaid and facts and "mean" in facts and facts.get("name", dataset.name) == dataset.name:
        return dataset
    own = {"mean": dataset.mean, "std": dataset.std}
    if usual is not None:
        own = {name: (value,) * dataset.in_channels for name, value in zip(ASKED, usual, strict=True)}
    for name in ASKED:
        if getattr(config, name) is not None:
            own[name] = pixel_numbers(name, getattr(config, name), 0.0, dataset.in_channels)
    why = f" ({config.model.name} does not say: type `mean` and `std` for others)" if unsaid else ""
    say(f"images     pixels of 0 to 1, less {with_spaces(own['mean'])}, divided by {with_spaces(own['std'])}{why}")
    return dataclasses.replace(dataset, mean=own["mean"], std=own["std"])
