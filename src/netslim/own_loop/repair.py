"""What is saved of a pruned network's accuracy without training: constants, and statistics or layers."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import nn

from netslim.core.errors import DataError, UsageError, first_of, one_of
from netslim.core.networks.example import Inputs
from netslim.core.networks.wrappers import unwrapped
from netslim.core.protocols import plan_of
from netslim.pruning import Absorption, absorb_
from netslim.reconstruction import Progress, Reconstruction, reconstruct_
from netslim.training.bn_statistics import batches_in, recalibrate_

SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Repair:
    """What was done.

    Attributes:
        absorption: of the removed channels' constants, or None.
        reconstruction: of the layers that are left, or None.
        images: number of training images that BatchNorm statistics come from, or that layers were fitted on.
        dataset: the name of their data set, if it is known.
    """

    absorption: Absorption | None = None
    reconstruction: Reconstruction | None = None
    images: int = 0
    dataset: str = ""

    @property
    def title(self) -> str:
        """What the accuracy after it is of."""
        parts = ["absorbed"] if self.absorption else []
        parts += ["reconstructed" if self.reconstruction else "recalibrated"] if self.images else []
        return " and ".join(parts) or "rebuilt"

    def lines(self) -> list[str]:
        """What to tell the user."""
        found = []
        if self.absorption is not None:
            found += _absorbed(self.absorption)
        source = f" of {self.dataset}" if self.dataset else ""
        if self.reconstruction is not None:
            found.append(f"{self.reconstruction}{source and f' (training images{source})'}")
        elif self.images:
            found.append(f"BatchNorm statistics from {self.images:,} training images{source}")
        return found

    def __str__(self) -> str:
        return "\n".join(self.lines()) or "nothing was removed, so nothing was repaired"

    def to_dict(self) -> dict[str, Any]:
        """As plain data for `run.json`."""
        fitted = self.reconstruction
        done: dict[str, Any] = {"recalibrated_on": 0 if fitted else self.images}
        if fitted is not None:
            found = dataclasses.asdict(fitted)
            done["reconstructed"] = {**found, "layers": [*found["layers"]], "left": [*fitted.left]}
        if self.absorption is not None:
            absorbed = self.absorption
            done["absorbed"] = {
                "layers": {layer.name: layer.constant for layer in absorbed.layers},
                "left": {part.name: part.channels for part in absorbed.left},
                "border": absorbed.border,
                "before": absorbed.before,
                "after": absorbed.after,
            }
        return done


def repair_(
    small: nn.Module,
    model: nn.Module,
    batches: Iterable[Any],
    *,
    example: Any = None,
    absorb: bool = True,
    reconstruct: bool = False,
    progress: Progress = lambda done, total: None,  # noqa: ARG005
) -> Repair:
    """Puts right what a pruning did to a network that is still to be fine-tuned; where it removed nothing, nothing.

    What the removed channels' shifts contributed goes into the biases and means that follow (`netslim.absorb_`), then
    the BatchNorm statistics are measured on `batches` (`netslim.recalibrate_`), or instead of this the layers that are
    left are fitted to the large network's (`netslim.reconstruct_`), which saves more and takes longer.

    Args:
        small: what `apply(model, plan)` returned, before any training; changed in place.
        model: the network before this pruning, left unchanged.
        batches: some batches of training data, on any device, as a `DataLoader` gives them: inputs; a tuple or list
            whose first part is the input; or a dictionary of inputs by name, of which those go in that the network
            takes. All of them count: `itertools.islice(loader, 50)` for less. Empty: the statistics stay as they are.
        example: an input for absorption, as for `plan`. None: the first batch.
        absorb: whether constants are absorbed.
        reconstruct: whether layers are fitted; all batches are held in memory then, and some hundreds of images do.
        progress: called before each layer's turn with the number of turns behind, and of all.

    Returns:
        What was done; printable.

    Raises:
        UsageError: `small` was not pruned from `model`, or there is neither a batch nor an example to absorb at.
        DataError: a dictionary has none of the network's inputs, or the batches are a single one, or not finite.

    >>> import torch, netslim
    >>> model = netslim.create_model("resnet", depth=11, num_classes=10)
    >>> norm = model.get_submodule("layer1.0.bn2")
    >>> _ = norm.weight.data[:8].zero_(), norm.bias.data[:8].fill_(1)  # what a penalty leaves: no scale, but a shift
    >>> batches = [(torch.randn(4, 3, 16, 16), torch.zeros(4)) for _ in range(3)]
    >>> small = netslim.apply(model, netslim.plan(model, batches[0][0], percent=0.01))
    >>> done = netslim.repair_(small, model, batches)
    >>> done.title, done.images, len(done.absorption.layers)
    ('absorbed and recalibrated', 12, 1)
    """
    bare = unwrapped(small)
    if _lost_nothing(bare, unwrapped(model)):
        return Repair()
    inputs = inputs_in(bare, batches_in(batches))
    first = next(inputs, None)
    absorption = None
    if absorb:
        shown = first if example is None else Inputs.of(example)
        if shown is None:
            raise UsageError("constants are absorbed at an input: give `example` or a batch, or `absorb=False`")
        absorption = absorb_(bare, model, shown)
    counted = _Counted(chain([first], inputs) if first else ())
    if reconstruct:
        fitted = reconstruct_(bare, model, counted, progress=progress)
        return Repair(absorption=absorption, reconstruction=fitted, images=fitted.images)
    if first:
        recalibrate_(bare, counted)
    return Repair(absorption=absorption, images=counted.images)


def _lost_nothing(small: nn.Module, model: nn.Module) -> bool:
    """Whether a pruning removed no channel; parameters may be fewer all the same, where weights were computed."""
    plan, before = plan_of(small), plan_of(model)
    return plan is not None and plan.kept == (before.kept if before else plan.total)


class _Counted:
    """Batches on their way into a network, and how many images they had."""

    def __init__(self, batches: Iterable[Inputs]) -> None:
        self.images = 0
        self._batches = batches

    def __iter__(self) -> Iterator[Inputs]:
        for batch in self._batches:
            self.images += batch.batch
            yield batch


def inputs_in(model: nn.Module, batches: Iterable[Any]) -> Iterator[Inputs]:
    """The network's inputs in each batch, on its device; see `repair_`."""
    device = next((tensor.device for tensor in chain(model.parameters(), model.buffers())), torch.device("cpu"))
    for batch in batches:
        given = batch[0] if isinstance(batch, list | tuple) else batch
        given = _taken(model, given) if isinstance(given, Mapping) else given
        yield Inputs.of(given).map(lambda tensor: tensor.to(device))


def _taken(model: nn.Module, batch: Mapping[str, Any]) -> dict[str, Any]:
    """What of a dictionary the network's `forward` has an argument for."""
    arguments = inspect.signature(model.forward).parameters
    if any(each.kind is each.VAR_KEYWORD for each in arguments.values()):
        return dict(batch)
    taken = {name: value for name, value in batch.items() if name in arguments}
    if not taken:
        raise DataError(
            f"a batch has {one_of(batch)}, and {type(model).__name__} takes {one_of(arguments)}: name them alike, or "
            f"give the inputs alone"
        )
    return taken


def _absorbed(found: Absorption) -> list[str]:
    layers = f"{len(found.layers)} layer{'s' * (len(found.layers) != 1)}"
    lines = [
        f"constants of the removed channels absorbed by {layers}: largest difference of a logit "
        f"{found.before:.1e} -> {found.after:.1e}"
    ]
    if found.left:
        names = [f"{part.name} ({part.channels})" for part in found.left]
        lines.append(f"not constant, so left, are channels of {first_of(names, SHOWN)}")
    return lines
