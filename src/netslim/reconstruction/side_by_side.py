"""A small network and the large one it was pruned from, run side by side: each layer is fitted when its turn comes."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import Any

import torch
from torch import Tensor, nn

from netslim.core.errors import DataError, NetslimWarning, UsageError
from netslim.core.networks.example import Inputs, tensors_of
from netslim.dependency.trace import Place
from netslim.reconstruction.layer_problem import LayerProblem, are_one_map, held_out, is_linear
from netslim.reconstruction.linear_map import LAYERS
from netslim.reconstruction.live_memory import LiveMemory, images_with_room
from netslim.reconstruction.lockstep import Lane
from netslim.reconstruction.recurrent import input_weights
from netslim.reconstruction.turns import AtOnce, InParts, Outputs, Turns, are_apart, in_pieces
from netslim.reconstruction.unlike_training import FirstNorm
from netslim.reconstruction.watch import Hooks, Link, Seen, Use, Watch

Progress = Callable[[int, int], object]  # is told how many uses of layers are behind, and how many there are


@dataclass(frozen=True)
class LayerFit:
    """What became of a layer.

    Attributes:
        name: of the layer; of a recurrent one, of the weight that reads its inputs; of layers that have a weight in
            common, of the first.
        before, after: root mean square of what its output lacks, on images that were held out; the same where no
            weights were better than its own, which it keeps then.
    """

    name: str
    before: float
    after: float


class SideBySide:
    """One pair of networks on some inputs, both in eval mode.

    Attributes:
        fits: what became of the layers, in the order of their work.
        left: layers that keep their weights, as no plain linear maps.
        note: what is odd about the inputs, or None.
    """

    def __init__(
        self,
        small: nn.Module,
        model: nn.Module,
        keeps: Mapping[Place, Tensor],
        inputs: Sequence[Inputs],
        seed: int,
        progress: Progress,
    ) -> None:
        self.fits: list[LayerFit] = []
        self.left: list[str] = []
        self.note: str | None = None
        self._progress = progress
        self._small, self._model, self._keeps, self._inputs, self._seed = small, model, keeps, inputs, seed
        self._hooks = Hooks()
        self._layers: dict[str, Any] = {}
        self._weights: dict[str, str] = {}  # layer -> parameter
        for name, module in small.named_modules():
            self._layers |= {name: module} if isinstance(module, LAYERS) else dict(input_weights(name, module))
            self._weights |= {own: own for own, _ in input_weights(name, module)}
        owners: dict[int, str] = {}
        self._owner = {name: owners.setdefault(id(layer.weight), name) for name, layer in self._layers.items()}
        self._maps = dict[str, bool]()  # layer that was seen at work -> whether it can be fitted
        self._fixed = set[str]()  # owners of weights that are fitted already
        self._problems = dict[str, LayerProblem]()  # by owner
        self._parts = False

    def run(self) -> tuple[float, float]:
        """Fits all layers. Returns what the outputs lacked and lack; see `missed`."""
        links = self._links()
        with torch.no_grad():
            before = [tensors_of(each.call(self._small)) for each in self._inputs]
        _check_finite(tensor for outputs in before for tensor in outputs.values())
        if not self._parts and len(self._inputs) > 1:
            with self._hooks.on(self._small):
                start = partial(self._lane, links)
                self._parts = not are_apart(self._small, self._inputs[:2], before[:2], start)
        first_norm = FirstNorm()
        with first_norm.watched(self._model):
            wanted, after = self._pass(links)
        self.note = first_norm.note()
        uses = Counter(self._owner[use.layer] for use in links)
        several = {owner for owner, number in uses.items() if number > 1} - {self._owner[name] for name in self.left}
        if several:  # at their first use the others saw what these gave before they were fitted
            self._fixed = several
            _, after = self._pass(links)
        return self._missed(before, wanted), self._missed(after, wanted)

    def _pass(self, links: Mapping[Use, Link]) -> tuple[list[Outputs], list[Outputs]]:
        """Both networks from beginning to end. Returns the outputs of the large one, and of the small one."""
        with ExitStack() as stack:
            stack.enter_context(self._hooks.on(self._small))
            stack.enter_context(self._hooks.on(self._model))
            start = partial(self._lane, links)
            given = self._small, self._model, self._inputs, start
            turns = InParts(*given) if self._parts else AtOnce(*given, stack)
            self._advance(turns, links)
            return turns.outputs()

    def _advance(self, turns: Turns, links: Mapping[Use, Link]) -> None:
        """From each layer's turn to the next."""
        to_come = Counter(self._owner[use.layer] for use in links)
        for number in count():
            self._progress(min(number, len(links)), len(links))
            uses, passed = set[Use | None](), 0
            for pair in turns.turn(number):
                uses.add(pair[0].use if pair else None)
                if len(uses) > 1:
                    raise UsageError("the batches take different ways through the network: its layers can't be fitted")
                if pair is not None:
                    self._gather(*pair, passed, links)
                    passed += len(pair[1].value)
            use = uses.pop()
            if use is None:
                return
            owner = self._owner[use.layer]
            to_come[owner] -= 1
            if not to_come[owner] and owner in self._problems:
                self._note(LayerFit(owner, *self._problems.pop(owner).solve_()))

    def _gather(self, here: Seen, there: Seen, passed: int, links: Mapping[Use, Link]) -> None:
        """What one batch shows of a layer whose turn it is, after so many images."""
        name, owner = here.use.layer, self._owner[here.use.layer]
        if owner in self._fixed or not self._fittable(here, there):
            return
        if owner not in self._problems:
            self._problems[owner] = self._problem(here.use, links)
        self._problems[owner].add(self._layers[name], here, there, passed)

    def _note(self, fit: LayerFit) -> None:
        """Files it; of a layer that is fitted again, what it lacked at first."""
        for number, known in enumerate(self.fits):
            if known.name == fit.name:
                self.fits[number] = replace(fit, before=known.before)
                return
        self.fits.append(fit)

    def _fittable(self, here: Seen, there: Seen) -> bool:
        name, owner = here.use.layer, self._owner[here.use.layer]
        if name not in self._maps:
            tied = [layer for other, layer in self._layers.items() if self._owner[other] == owner]
            batched = here.value.dim() > 1  # not a vector, as a network that makes weights has
            self._maps[name] = batched and are_one_map(tied) and is_linear(self._layers[name], here.value[:1])
        alike = len(here.value) == len(there.value) > 0  # values may have decided how many there are
        if self._maps[name] and alike and owner not in self.left:
            return True
        if name not in self.left:
            self.left.append(name)
        self._problems.pop(owner, None)
        return False

    def _problem(self, use: Use, links: Mapping[Use, Link]) -> LayerProblem:
        layer, norm = self._layers[use.layer], links[use].norm
        dim = 1 if getattr(layer, "transposed", False) else 0
        keep = self._keeps.get((self._weights.get(use.layer, f"{use.layer}.weight"), dim))
        own = self._small.get_submodule(norm) if norm else None
        uses = sum(self._owner[other.layer] == self._owner[use.layer] for other in links)
        return LayerProblem(layer, own, keep, len(self._inputs) * uses, self._seed)

    def _links(self) -> dict[Use, Link]:
        """What becomes of every layer's output, where both networks agree on it, for all uses of a weight alike."""
        found, memory = [], LiveMemory()
        for network in (self._small, self._model):
            watch = Watch(network)
            with self._hooks.on(network), memory, self._hooks.watched(watch):
                self._inputs[0].call(network)
            found.append(watch.links())
        self._make_room(2 * memory.peak)
        links = {use: link if found[1].get(use) == link else Link() for use, link in found[0].items()}
        uses = Counter(self._owner[use.layer] for use in links)
        return {use: Link("", link.added and not link.norm) if uses[self._owner[use.layer]] > 1 else link
                for use, link in links.items()}  # fmt: skip

    def _make_room(self, needed: int) -> None:
        """Smaller batches, one after the other, if all at once, of which the first needs so much, are too many."""
        first, images = self._inputs[0], sum(each.batch for each in self._inputs)
        per_image = needed / max(first.batch, 1)
        room = images_with_room(int(per_image * images), images, first.tensors[0].device)
        if room < images:
            self._parts = True
            self._inputs = [piece for each in self._inputs for piece in in_pieces(each, room)]
            at_once = max(each.batch for each in self._inputs)
            text = (
                f"what both networks make of {images:,} images at one layer takes up to "
                f"{per_image * images / 1e9:.2g} GB of memory, more than is free: for every layer the networks run "
                f"again from the beginning, on {at_once:,} images at a time; up to {room:,} images need one run alone"
            )
            warnings.warn(text, NetslimWarning, stacklevel=2)

    def _lane(
        self, links: Mapping[Use, Link], network: nn.Module, inputs: Inputs, given: dict[int, Outputs]
    ) -> Lane[Seen]:
        def work(stop: Callable[[Seen], object]) -> None:
            with self._hooks.watched(Watch(network, links, stop, fits=network is self._small)):
                given[id(lane)] = tensors_of(inputs.call(network))

        lane: Lane[Seen] = Lane(work)
        return lane

    def _missed(self, ours: Sequence[Mapping[str, Tensor]], theirs: Sequence[Mapping[str, Tensor]]) -> float:
        """Root mean square of what outputs lack, relative to what they should be, over the images held out."""
        lacking = squares = torch.zeros((), dtype=torch.float64)
        passed, compared = 0, False
        for found, wanted, inputs in zip(ours, theirs, self._inputs, strict=True):
            for name, tensor in wanted.items():
                if tensor.is_floating_point() and tensor.dim() and found[name].shape == tensor.shape:
                    held, compared = held_out(torch.arange(len(tensor)), passed), True
                    lacking = lacking + (found[name][held].double() - tensor[held].double()).square().sum().cpu()
                    squares = squares + tensor[held].double().square().sum().cpu()
            passed += inputs.batch
        if not compared:
            raise UsageError("the networks give no outputs of one shape that the fitted layers could be held against")
        _check_finite([lacking, squares])
        return float((lacking / squares).sqrt()) if squares else 0.0


def _check_finite(tensors: Iterable[Tensor]) -> None:
    if not all(bool(tensor.isfinite().all()) for tensor in tensors):
        raise DataError("what the networks make of these images is not finite: are the images, and all weights?")
