"""A recorder for the CPU that behaves as a CUDA graph does: the kernels with their arguments, and nothing of Python."""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

T = TypeVar("T")

# A look at a value, which a device would have to be waited for.
LOOKS = {"item", "_local_scalar_dense", "is_nonzero", "equal", "nonzero"}


class Tape(TorchDispatchMode):
    """Every operation that runs inside, with the very tensors that it read and wrote.

    Numbers are written down as they were; a recording never sees a later value of a Python variable. What is outside
    and gets changed is put back by `rewind`: a device does not run what it records.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[tuple[Any, Any, Any, list[Tensor]]] = []
        self._outside: dict[int, tuple[Tensor, Tensor]] = {}  # by address: the memory, and what was in it
        self._inside: dict[int, Tensor] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func._schema.name.removeprefix("aten::") in LOOKS:
            raise RuntimeError("operation not permitted when stream is capturing")
        for tensor in _tensors((args, kwargs or {})):
            if _address(tensor) not in self._inside and _address(tensor) not in self._outside:
                whole = _whole(tensor)
                self._outside[_address(tensor)] = whole, whole.clone()
        found = func(*args, **(kwargs or {}))
        outputs = _tensors(found)
        self._lines.append((func, args, kwargs or {}, outputs))
        self._inside |= {_address(each): each for each in outputs if _address(each) not in self._outside}
        return found

    def rewind(self) -> None:
        """What was outside is as before, and what came out is not a number: it must not be used before a replay."""
        for memory, content in self._outside.values():
            memory.copy_(content)
        for tensor in self._inside.values():
            if tensor.is_floating_point():
                tensor.fill_(float("nan"))

    def play(self) -> None:
        """Runs the operations again, into the same memory."""
        for func, args, kwargs, outputs in self._lines:
            for old, new in zip(outputs, _tensors(func(*args, **kwargs)), strict=True):
                if _address(old) != _address(new):
                    old.copy_(new)


class Looks(TorchDispatchMode):
    """Counts the looks at values that happen inside."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func._schema.name.removeprefix("aten::") in LOOKS
        return func(*args, **(kwargs or {}))


class TapeRecorder:
    """Records on a tape. `played` counts the replays; `broken` is what recording fails with."""

    def __init__(self, broken: str = "") -> None:
        self.played = 0
        self.broken = broken

    def aside(self, act: Callable[[], T]) -> T:
        return act()

    def record(self, act: Callable[[], T]) -> Callable[[], T]:
        tape = Tape()
        try:
            with tape, torch.random.fork_rng([]):
                found = act()
                if self.broken:
                    raise RuntimeError(self.broken)
        finally:
            with torch.no_grad():
                tape.rewind()

        def replay() -> T:
            self.played += 1
            with torch.no_grad():
                tape.play()
            return found

        return replay


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_flatten(tree)[0] if isinstance(leaf, Tensor)]


def _address(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _whole(tensor: Tensor) -> Tensor:
    """All of a tensor's memory."""
    size = tensor.untyped_storage().nbytes() // tensor.element_size()
    return torch.as_strided(tensor.detach(), (size,), (1,), 0)
