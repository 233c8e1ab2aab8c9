"""Ways to bring a trained network to a share of its MACs: netslim's, the original's rule, Torch-Pruning's pruners.

Each takes a `Case` and a share and returns what the cut left, and the same after it was put right, where that is done.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch_pruning
from torch import Tensor, nn

import netslim
from netslim.data import ImageDataset, Split, evaluation_batches
from netslim.stages.shared.calibration_data import calibration_batches, training_images

IMAGES = 512  # that layers are fitted on, and that `taylor` looks at
STATISTICS = 20  # batches of 128 that statistics are measured on, as `netslim prune` does
CRITERIA = ("l2_norm", "taylor")
OWN_CRITERION = {  # the other ways take one of CRITERIA
    "netslim, group_l2_norm by sensitivity": "group_l2_norm",
    "netslim, group_l2_norm by sensitivity, coupled": "group_l2_norm",
    "netslim, group_l2_norm by sensitivity, coupled, fitted": "group_l2_norm",
    "netslim, group_l2_norm by sensitivity, sparsity": "group_l2_norm",
}
SEARCHES = 10  # bisections of Torch-Pruning's ratio


@dataclass(frozen=True, eq=False)
class Case:
    """A trained network on the CPU, the images, and the seed that picks those for a cut."""

    model: nn.Module
    dataset: ImageDataset
    held_out: Split
    seed: int

    @property
    def example(self) -> Tensor:
        """Two images."""
        return next(iter(evaluation_batches(self.held_out, self.dataset, batch_size=2, device="cpu")))[0]

    def images(self, batches: int) -> list[Tensor]:
        """Training images, augmented as in training."""
        return training_images(self.dataset, batches, self.seed)


Cut = tuple[nn.Module, nn.Module]  # right after the cut, and put right; the same network where nothing is
Way = Callable[[Case, float, str], Cut]


def fitted(case: Case, share: float, criterion: str, allocation: str = "scores", residual: str | None = None) -> Cut:
    """netslim: layers fitted to the large network's."""
    cut = planned(case, share, criterion, allocation, residual)
    repaired = copy.deepcopy(cut)
    netslim.repair_(repaired, case.model, case.images(IMAGES // 128), reconstruct=True)
    return cut, repaired


def measured(case: Case, share: float, criterion: str, allocation: str = "scores", residual: str | None = None) -> Cut:
    """netslim: constants absorbed, statistics measured."""
    cut = planned(case, share, criterion, allocation, residual)
    repaired = copy.deepcopy(cut)
    netslim.repair_(repaired, case.model, case.images(STATISTICS))
    return cut, repaired


def original(case: Case, share: float, _: str) -> Cut:
    """The original's rule: the smallest BatchNorm scales of all layers, nothing put right (Liu et al. 2017)."""
    cut = planned(case, share, "bn_scale")
    return cut, cut


def planned(
    case: Case, share: float, criterion: str, allocation: str = "scores", residual: str | None = None
) -> nn.Module:
    """What netslim's plan for these MACs leaves."""
    looks = criterion == "taylor" or allocation == "sensitivity"
    batches = list(calibration_batches(case.dataset, IMAGES // 128, case.seed)) if looks else None
    given = {"criterion": criterion, "allocation": allocation, "residual": residual, "batches": batches}
    return netslim.apply(case.model, netslim.plan(case.model, case.example[:1], target_macs=share, **given))


def torch_pruning_by(pruner: str, importance: Any, case: Case, share: float, _: str) -> Cut:
    """One of Torch-Pruning's pruners at the ratio that gives these MACs; the classifier's outputs stay."""
    target = share * netslim.measure(case.model, case.example[:1]).macs
    low, high, cut = 0.0, 1.0, case.model
    for _search in range(SEARCHES):
        ratio = (low + high) / 2
        small = copy.deepcopy(case.model)
        getattr(torch_pruning.pruner, pruner)(
            small, case.example, importance=importance, global_pruning=True, pruning_ratio=ratio,
            ignored_layers=[layer for layer in small.modules() if isinstance(layer, nn.Linear)],
        ).step()  # fmt: skip
        fits = netslim.measure(small, case.example[:1]).macs <= target
        low, high, cut = (low, ratio, small) if fits else (ratio, high, cut)
    return cut, cut


WAYS: dict[str, Way] = {
    "netslim": fitted,
    "netslim, by sensitivity": partial(measured, allocation="sensitivity"),
    "original rule": original,
    "netslim, no reconstruction": measured,
    "Torch-Pruning magnitude": partial(
        torch_pruning_by, "MagnitudePruner", torch_pruning.importance.GroupMagnitudeImportance(p=2)
    ),
    "Torch-Pruning BNScale": partial(torch_pruning_by, "BNScalePruner", torch_pruning.importance.BNScaleImportance()),
    "netslim, group_l2_norm by sensitivity": partial(measured, allocation="sensitivity"),
    "netslim, group_l2_norm by sensitivity, coupled": partial(measured, allocation="sensitivity", residual="couple"),
    "netslim, group_l2_norm by sensitivity, coupled, fitted": partial(
        fitted, allocation="sensitivity", residual="couple"
    ),
    "netslim, sparsity": fitted,
    "netslim, group_l2_norm by sensitivity, sparsity": partial(measured, allocation="sensitivity"),
    "original rule, sparsity": original,
}
