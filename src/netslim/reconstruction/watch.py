"""One run of a network, watched: where its layers are used, and where what they give is added to something else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import local
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.weak import WeakIdKeyDictionary

from netslim.core.networks.torch_internals import PlainDispatchMode
from netslim.reconstruction.linear_map import LAYERS
from netslim.reconstruction.recurrent import InputWeights, input_weights, sequences

_ATEN = torch.ops.aten
_ADDITIONS = (_ATEN.add.Tensor, _ATEN.add_.Tensor)


@dataclass(frozen=True)
class Use:
    """One of the calls of a layer: its name, and how often it was called before."""

    layer: str
    number: int


@dataclass(frozen=True)
class Link:
    """What becomes of what a layer gives.

    Attributes:
        norm: name of the BatchNorm that alone reads it, or "".
        added: whether it, or what the BatchNorm makes of it, is then only added to a tensor of its shape.
    """

    norm: str = ""
    added: bool = False


@dataclass
class _Made:
    """A tensor that a layer gave, or a BatchNorm made of it."""

    use: Use
    norm: str = ""


@dataclass
class Seen:
    """Where a run came by: a layer's use, with its input, or what it gave; or the addition after it.

    Attributes:
        use: of the layer.
        value: the layer's input in the network that is fitted, and its output (or the sum) in the original.
        other: in the network that is fitted, what its output is added to.
    """

    use: Use
    value: Tensor
    other: Tensor | None = None


class Watch(PlainDispatchMode):  # type: ignore[no-untyped-call]
    """Follows what layers give until it is added; made anew for every run.

    Args:
        network: whose modules are `hooked`.
        links: what is known of the uses from a run before; of those that are added the sum counts.
        stop: called with what is seen. In a network that is fitted, layers may have other weights after.
        fits: whether this is the network that is fitted.
    """

    def __init__(
        self,
        network: nn.Module,
        links: Mapping[Use, Link] | None = None,
        stop: Callable[[Seen], Any] | None = None,
        *,
        fits: bool = False,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._modules = dict(network.named_modules())
        self._norms = {
            id(module.running_mean): name
            for name, module in self._modules.items()
            if isinstance(getattr(module, "running_mean", None), Tensor)
        }
        self._links, self._stop, self._fits = links or {}, stop, fits
        self._made: Any = WeakIdKeyDictionary()
        self._calls = Counter[str]()
        self._inputs: dict[Use, Tensor] = {}  # of layers whose sum is still to come
        self._readers = Counter[tuple[Use, str]]()
        self._added: set[tuple[Use, str]] = set()
        self._completed: set[Use] = set()  # of two uses that are added to each other one takes what the other lacks
        self._normed: dict[Use, str] = {}
        self._norm_uses = Counter[str]()
        self.busy = False

    def before(self, layer: str, x: Tensor) -> None:
        """A layer is about to work."""
        use = Use(layer, self._calls[layer])
        if self._links.get(use, Link()).added:
            self._inputs[use] = x
        elif self._stop is not None and self._fits and use in self._links:  # else it gives no tensor
            self._stop(Seen(use, x))

    def after(self, layer: str, y: Tensor) -> None:
        """A layer has worked."""
        use = self._called(layer)
        self._made[y] = _Made(use)
        if self._stop is not None and not self._fits and not self._links.get(use, Link()).added:
            self._stop(Seen(use, y))

    def reads(self, layer: str, weights: InputWeights, x: Tensor) -> None:
        """A recurrent layer is about to work: what it makes of its inputs alone is what the original gives."""
        use = self._called(layer)
        if self._stop is not None:
            self._stop(Seen(use, x if self._fits else weights(x)))

    def _called(self, layer: str) -> Use:
        use = Use(layer, self._calls[layer])
        self._calls[layer] += 1
        return use

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Called by torch for every operation."""
        kwargs = kwargs or {}
        made = self._read([*args, *kwargs.values()])
        if made and func in _ADDITIONS and _is_plain_sum(args, kwargs):
            return self._sum(func, args, made)
        result = func(*args, **kwargs)
        if func._schema.is_mutable:
            self._forget(args[0])
        if made and "batch_norm" in func.name() and args[0] in self._made and id(args[3]) in self._norms:
            own, norm = self._made[args[0]], self._norms[id(args[3])]
            self._norm_uses[norm] += 1
            if not own.norm:
                self._normed[own.use] = norm
                self._made[result[0]] = _Made(own.use, norm)
        return result

    def links(self) -> dict[Use, Link]:
        """What became of the uses, after a run."""
        found = {}
        for use in (Use(layer, number) for layer, calls in self._calls.items() for number in range(calls)):
            norm = self._normed.get(use, "")
            if self._readers[use, ""] != 1 or self._norm_uses[norm] > 1:
                norm = ""
            alone = self._readers[use, ""] == self._readers[use, norm] == 1
            found[use] = Link(norm, alone and (use, norm) in self._added and use in self._completed)
        return found

    def _read(self, given: list[Any]) -> list[_Made]:
        found = []
        for leaf in given:
            for tensor in leaf if isinstance(leaf, list | tuple) else (leaf,):
                if isinstance(tensor, Tensor) and (made := self._made.get(tensor)) is not None:
                    self._readers[made.use, made.norm] += 1
                    found.append(made)
        return found

    def _forget(self, tensor: Any) -> None:
        """What is written into is no longer what a layer gave."""
        if isinstance(tensor, Tensor):
            self._made.pop(tensor, None)

    def _sum(self, func: Any, args: tuple[Any, ...], made: list[_Made]) -> Any:
        self._added |= {(own.use, own.norm) for own in made}
        self._completed.add(made[0].use)
        chosen = next((own for own in made if self._links.get(own.use, Link()) == Link(own.norm, True)), None)
        place = 0 if self._made.get(args[0]) is chosen else 1
        if func is _ATEN.add_.Tensor:
            self._forget(args[0])
        if self._stop is None or chosen is None:
            return func(*args)
        if not self._fits:
            result = func(*args)
            self._stop(Seen(chosen.use, result))
            return result
        x, other = self._inputs.pop(chosen.use), args[1 - place]
        self._stop(Seen(chosen.use, x, other))
        own = self._again(chosen, x)
        total = _ATEN.add.Tensor(*((own, other) if place == 0 else (other, own)))
        return args[0].copy_(total) if func is _ATEN.add_.Tensor else total

    def _again(self, made: _Made, x: Tensor) -> Tensor:
        """What the layer gives now, and the BatchNorm behind it."""
        self.busy = True
        try:
            y: Tensor = self._modules[made.use.layer](x)
            return self._modules[made.norm](y) if made.norm else y
        finally:
            self.busy = False


def _is_plain_sum(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    first, second = args[:2]
    return isinstance(second, Tensor) and first.shape == second.shape and kwargs.get("alpha", 1) == 1


@dataclass
class Hooks:
    """Tells the watch of the thread that runs a network of its layers."""

    current: local = field(default_factory=local)

    @contextmanager
    def on(self, network: nn.Module) -> Iterator[None]:
        """Layers of the network are seen inside."""
        handles = []
        for name, module in network.named_modules():
            if isinstance(module, LAYERS):
                handles.append(module.register_forward_pre_hook(self._before(name), with_kwargs=True))
                handles.append(module.register_forward_hook(self._after(name)))
            for own, weights in input_weights(name, module):
                handles.append(module.register_forward_pre_hook(self._reads(own, weights), with_kwargs=True))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    @contextmanager
    def watched(self, watch: Watch) -> Iterator[None]:
        """The thread's runs are seen by this watch inside."""
        self.current.watch = watch
        try:
            with torch.no_grad(), watch:
                yield
        finally:
            del self.current.watch

    def _watch(self) -> Watch | None:
        watch: Watch | None = getattr(self.current, "watch", None)
        return None if watch is None or watch.busy else watch

    def _before(self, name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(_: nn.Module, args: Any, kwargs: Any) -> None:
            if (watch := self._watch()) is not None:
                watch.before(name, args[0] if args else kwargs["input"])

        return hook

    def _reads(self, name: str, weights: InputWeights) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, args: Any, kwargs: Any) -> None:
            if (watch := self._watch()) is not None:
                watch.reads(name, weights, sequences(module, args[0] if args else kwargs["input"]))

        return hook

    def _after(self, name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(_: nn.Module, __: Any, y: Any) -> None:
            if (watch := self._watch()) is not None and isinstance(y, Tensor):  # own layers may give more than that
                watch.after(name, y)

        return hook
