"""A small network and the large one it was pruned from, run side by side: each layer is fitted when its turn comes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import count

import torch
from torch import Tensor, nn

from netslim.core.errors import DataError, UsageError
from netslim.core.networks.example import Inputs, tensors_of
from netslim.dependency.trace import Place
from netslim.reconstruction.layer_problem import LayerProblem, has_own_weight, held_out, is_linear
from netslim.reconstruction.linear_map import LAYERS
from netslim.reconstruction.live_memory import LiveMemory, require_room
from netslim.reconstruction.lockstep import Lane
from netslim.reconstruction.unlike_training import FirstNorm
from netslim.reconstruction.watch import Hooks, Link, Seen, Use, Watch

Progress = Callable[[int, int], object]  # is told how many uses of layers are behind, and how many there are


@dataclass(frozen=True)
class LayerFit:
    """What became of a layer.

    Attributes:
        name: of the layer.
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
        left: layers that keep their weights, as no plain linear maps of weights of their own.
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
        self._layers = {name: module for name, module in small.named_modules() if isinstance(module, LAYERS)}
        owners = Counter(id(module.weight) for module in self._layers.values())
        self._shared = {weight for weight, count in owners.items() if count > 1}
        self._fixed = set[str]()  # layers that are fitted already
        self._outputs: dict[int, dict[str, Tensor]] = {}  # of the lanes that came to their end, by id

    def run(self) -> tuple[float, float]:
        """Fits all layers. Returns what the outputs lacked and lack; see `missed`."""
        with torch.no_grad():
            before = [tensors_of(each.call(self._small)) for each in self._inputs]
        _check_finite(tensor for outputs in before for tensor in outputs.values())
        links, first_norm = self._links(), FirstNorm()
        with first_norm.watched(self._model):
            wanted, after = self._pass(links)
        self.note = first_norm.note()
        several = {use.layer for use in links if use.number} - set(self.left)
        if several:  # at their first use the others saw what these gave before they were fitted
            self._fixed = several
            _, after = self._pass(links)
        return self._missed(before, wanted), self._missed(after, wanted)

    def _pass(self, links: Mapping[Use, Link]) -> tuple[list[dict[str, Tensor]], list[dict[str, Tensor]]]:
        """Both networks from beginning to end. Returns the outputs of the large one, and of the small one."""
        with ExitStack() as stack:
            stack.enter_context(self._hooks.on(self._small))
            stack.enter_context(self._hooks.on(self._model))
            lanes = [self._lane(self._small, each, links, fits=True) for each in self._inputs]
            models = [self._lane(self._model, each, links, fits=False) for each in self._inputs]
            for lane in (*lanes, *models):
                stack.callback(lane.end)
            self._advance(lanes, models, links)
            for lane in models:
                while lane.next() is not None:
                    pass
        return [self._outputs.pop(id(lane)) for lane in models], [self._outputs.pop(id(lane)) for lane in lanes]

    def _advance(self, lanes: Sequence[Lane[Seen]], models: Sequence[Lane[Seen]], links: Mapping[Use, Link]) -> None:
        """From each layer's turn to the next."""
        uses, problems = Counter(use.layer for use in links), dict[str, LayerProblem]()
        for turn in count():
            self._progress(min(turn, len(links)), len(links))
            stops = [stop for stop in (lane.next() for lane in lanes) if stop is not None]
            if not stops:
                return
            use = stops[0].use
            if len(stops) < len(lanes) or any(stop.use != use for stop in stops):
                raise UsageError("the batches take different ways through the network: its layers can't be fitted")
            targets = [_until(lane, use) for lane in models]
            if not self._fittable(use.layer, stops, targets):
                continue
            problem = problems.get(use.layer)
            if problem is None:
                problem = problems[use.layer] = self._problem(use, links)
            passed = 0
            for here, there in zip(stops, targets, strict=True):
                problem.add(here, there, passed)
                passed += len(there.value)
            if use.number == uses[use.layer] - 1:
                self._note(LayerFit(use.layer, *problems.pop(use.layer).solve_()))

    def _note(self, fit: LayerFit) -> None:
        """Files it; of a layer that is fitted again, what it lacked at first."""
        for number, known in enumerate(self.fits):
            if known.name == fit.name:
                self.fits[number] = replace(fit, before=known.before)
                return
        self.fits.append(fit)

    def _fittable(self, name: str, stops: Sequence[Seen], targets: Sequence[Seen]) -> bool:
        if name in self.left or name in self._fixed:
            return False
        alike = all(len(here.value) == len(there.value) > 0 for here, there in zip(stops, targets, strict=True))
        x = stops[0].value[:1]  # values may have decided how many there are
        if alike and has_own_weight(self._layers[name], self._shared) and is_linear(self._layers[name], x):
            return True
        self.left.append(name)
        return False

    def _problem(self, use: Use, links: Mapping[Use, Link]) -> LayerProblem:
        layer, norm = self._layers[use.layer], links[use].norm
        dim = 1 if getattr(layer, "transposed", False) else 0
        keep = self._keeps.get((f"{use.layer}.weight", dim))
        own = self._small.get_submodule(norm) if norm else None
        return LayerProblem(layer, own, keep, len(self._inputs), self._seed)

    def _links(self) -> dict[Use, Link]:
        """What becomes of every layer's output, where both networks agree on it; and whether there is room for all."""
        found, memory = [], LiveMemory()
        for network in (self._small, self._model):
            watch = Watch(network)
            with self._hooks.on(network), memory, self._hooks.watched(watch):
                self._inputs[0].call(network)
            found.append(watch.links())
        first, images = self._inputs[0], sum(each.batch for each in self._inputs)
        require_room(2 * memory.peak * images // max(first.batch, 1), images, first.tensors[0].device)
        return {use: link if found[1].get(use) == link else Link() for use, link in found[0].items()}

    def _lane(self, network: nn.Module, inputs: Inputs, links: Mapping[Use, Link], *, fits: bool) -> Lane[Seen]:
        def work(stop: Callable[[Seen], object]) -> None:
            with self._hooks.watched(Watch(network, links, stop, fits=fits)):
                self._outputs[id(lane)] = tensors_of(inputs.call(network))

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


def _until(lane: Lane[Seen], use: Use) -> Seen:
    """The next stop of the original at this use; what the small network has no more is passed over."""
    while (seen := lane.next()) is not None:
        if seen.use == use:
            return seen
    raise UsageError(f"'{use.layer}' works in the small network and not in the large one: they are not of one plan")


def _check_finite(tensors: Iterable[Tensor]) -> None:
    if not all(bool(tensor.isfinite().all()) for tensor in tensors):
        raise DataError("what the networks make of these images is not finite: are the images, and all weights?")
