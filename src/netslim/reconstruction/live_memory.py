"""How much memory a run of a network holds at most, counted while it runs."""

from __future__ import annotations

import weakref
from collections import Counter
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from netslim.core.errors import DataError
from netslim.core.networks.torch_internals import PlainDispatchMode
from netslim.data.host_memory import available_memory


class LiveMemory(PlainDispatchMode):
    """Counts the bytes of what operations make inside of it, for as long as it is there.

    Attributes:
        peak: the most that was there at once.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = 0
        self._now = 0
        self._users = Counter[int]()  # tensors per piece of memory, views among them

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Called by torch for every operation."""
        result = func(*args, **(kwargs or {}))
        given = {_place(tensor) for tensor in _dense(args, kwargs)}
        for tensor in _dense(result):
            if self._users[_place(tensor)] or _place(tensor) not in given:
                self._count(tensor)
        return result

    def _count(self, tensor: Tensor) -> None:
        place, size = _place(tensor), tensor.untyped_storage().nbytes()
        if not self._users[place]:
            self._now += size
            self.peak = max(self.peak, self._now)
        self._users[place] += 1
        weakref.finalize(tensor, self._gone, place, size)

    def _gone(self, place: int, size: int) -> None:
        self._users[place] -= 1
        if not self._users[place]:
            self._now -= size


def images_with_room(needed: int, images: int, device: torch.device) -> int:
    """How many of `images`, of which all need so many bytes, a device has room for at once.

    Raises:
        DataError: for none.
    """
    free = _free_on_gpu(device) if device.type == "cuda" else available_memory()
    if free is None or needed <= free:
        return images
    fitting = images * free // needed
    if not fitting:
        raise DataError(
            f"what both networks make of one image takes up to {needed / images / 1e9:.2g} GB of memory, "
            f"and {free / 1e9:.2g} GB are free: give smaller images"
        )
    return fitting


def _free_on_gpu(device: torch.device) -> int:
    """What the driver has, and what torch keeps of the driver's for later."""
    return torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def _dense(*what: Any) -> list[Tensor]:
    """The tensors in it that lie in memory as one piece."""
    return [leaf for leaf in tree_leaves(what) if isinstance(leaf, Tensor) and leaf.layout is torch.strided]


def _place(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
