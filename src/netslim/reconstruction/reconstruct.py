"""Layer by layer, the weights for which a small network gives again what the large one gave."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from netslim.core.errors import DataError, NetslimWarning, UsageError
from netslim.core.networks.example import Inputs, TensorSpec
from netslim.core.networks.modes import evaluation_mode
from netslim.core.networks.running import running
from netslim.core.networks.wrappers import plain
from netslim.core.protocols import plan_of
from netslim.dependency.slicing import first_changed
from netslim.dependency.trace import Place
from netslim.pruning.resolve_plan import resolve
from netslim.reconstruction.layer_problem import HELD_OUT
from netslim.reconstruction.side_by_side import LayerFit, Progress, SideBySide
from netslim.training.bn_statistics import batches_in, inputs_in


@dataclass(frozen=True)
class Reconstruction:
    """What was done.

    Attributes:
        layers: in the order of their work.
        images: number of images.
        left: layers that keep their weights, as no plain linear maps.
        before, after: root mean square of what the outputs lack, as a share of what they should be, on images held out.
        note: what is odd about the images, with figures, or None.
    """

    layers: tuple[LayerFit, ...]
    images: int
    left: tuple[str, ...]
    before: float
    after: float
    note: str | None = None

    def __str__(self) -> str:
        changed = sum(layer.after < layer.before for layer in self.layers)
        same, left = len(self.layers) - changed, len(self.left)
        others = f", {same} tried without gain" * bool(same) + f", {left} of a kind that can't be fitted" * bool(left)
        return (
            f"{changed} of {len(self.layers) + left} layers fitted on {self.images:,} images{others}: error of the "
            f"outputs {100 * self.before:.1f} % -> {100 * self.after:.1f} % of their size"
        )


def reconstruct_(
    small: nn.Module,
    model: nn.Module,
    batches: Iterable[Any],
    *,
    seed: int = 0,
    progress: Progress = lambda done, total: None,  # noqa: ARG005
) -> Reconstruction:
    """Fits a pruned network's layers to the unpruned one's, one after the other, without labels or training.

    Both networks run side by side. Before each layer of the small one works, its weights and bias (or the mean of the
    BatchNorm behind it) become those for which its own inputs give what the large network's layer gives at the channels
    that are left: least squares in double precision, held back towards the weights that it has (a ridge, whose strength
    is chosen on every fourth image, held out: the largest of those that are nearly as good as the best, as small
    weights bear a training). Where its output is only added to something, the sum counts, so that a branch makes up for
    what the shortcut lost. A layer for which nothing is better on the images held out keeps its weights, and so does
    the network as a whole. Images that do not look to the network's first BatchNorm like those that it was trained on
    are a `NetslimWarning`, with figures. (He et al. 2017, "Channel Pruning for Accelerating Very Deep Neural Networks",
    section 3.2.)

    Args:
        small: what `apply(model, plan)` returned, before any training; changed in place.
        model: the network before pruning, left unchanged.
        batches: normalised images (N, C, H, W) on the networks' device, alone or with labels, as a loader gives them:
            of a pair the first is the input, a dictionary holds inputs by name. Some hundreds of images will do. They
            are held in memory, with what both networks make of them at one layer; where that is more than is free, the
            networks run again from the beginning for every layer, on some images at a time, which a `NetslimWarning`
            says. Of fewer images than a linear layer has inputs it learns what they say, and keeps its weights in the
            other directions.
        seed: of which places of an image count, where there are more than enough.
        progress: called before each layer's turn with the number of turns behind, and of all.

    Raises:
        DataError: there are fewer than four images, what the networks make of them is not finite, or what they make of
            one is more than the memory that is free holds.
        UsageError: `small` was not pruned from `model`, or was trained since.

    >>> import torch, netslim
    >>> _ = torch.manual_seed(0)
    >>> layers = torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.ReLU(), torch.nn.Flatten()
    >>> model = torch.nn.Sequential(*layers, torch.nn.Linear(288, 10)).eval()
    >>> images = torch.randn(512, 3, 8, 8)
    >>> small = netslim.apply(model, netslim.plan(model, images[:1], percent=0.2, criterion="l2_norm"))
    >>> done = netslim.reconstruct_(small, model, images.split(128))
    >>> done.after < 0.8 * done.before
    True
    """
    model, small = plain(model), plain(small)
    plan = plan_of(small)
    if plan is None:
        raise UsageError("the small network was not pruned: give what netslim.apply(model, plan) returned")
    inputs = [inputs_in(batch) for batch in batches_in(batches)]
    images = sum(each.batch for each in inputs)
    if images < HELD_OUT:
        raise DataError(f"{images} images are too few to fit layers to: give at least {HELD_OUT}, better hundreds")
    resolved = resolve(model, plan)
    _check_untrained(small, model, resolved.keeps)
    own = {name: tensor.clone() for name, tensor in small.state_dict().items()}
    work = SideBySide(small, model, resolved.keeps, inputs, seed, progress)
    try:
        with running(small, inputs[0].map(TensorSpec.of)), evaluation_mode(model), evaluation_mode(small):
            before, after = work.run()
    except BaseException:
        small.load_state_dict(own)
        raise
    note = work.note or _other_size(inputs[0], plan.input_shape)
    if note:
        warnings.warn(note, NetslimWarning, stacklevel=2)
    if not after < before:
        small.load_state_dict(own)
        work.fits = [LayerFit(fit.name, fit.before, fit.before) for fit in work.fits]
        after = before
    return Reconstruction(tuple(work.fits), images, tuple(work.left), before, after, note)


def _other_size(inputs: Inputs, planned: Sequence[int]) -> str | None:
    """What to say of images of another size than the plan's example."""
    found = inputs.tensors[0].shape[1:]
    if not inputs.is_single or tuple(found) == tuple(planned[1:]):
        return None
    own, plans = (" x ".join(map(str, sides)) for sides in (found, planned[1:]))
    return f"layers are fitted on inputs of {own}, and the plan's example has {plans}: statistics change with the size"


def _check_untrained(small: nn.Module, model: nn.Module, keeps: Mapping[Place, Tensor]) -> None:
    if any(own.is_meta for own in small.parameters()):
        raise UsageError(f"{type(small).__name__} is on the meta device: load its weights first")
    name = first_changed(small, model, keeps)
    if name is not None:
        raise UsageError(
            f"'{name}' of the small network is not what pruning left of the large one's: give the network that "
            f"netslim.apply pruned, right after it, before any training"
        )
