"""What the code of a network keeps outside of it: grids by their sizes in a dictionary of its file, say."""

from __future__ import annotations

import functools
import sys
from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from types import FunctionType, ModuleType
from typing import Any

from torch import Tensor, nn

_CONTAINERS = {dict, OrderedDict, defaultdict, list, set}
_OTHERS = {*sys.stdlib_module_names, "torch", "numpy", "netslim"}  # packages whose code keeps nothing of a network's
_KEPT_BY_PYTHON = type(functools.lru_cache(len))


@contextmanager
def caches_kept(model: nn.Module) -> Iterator[None]:
    """What the network's code keeps outside of it inside, as tensors without values, is forgotten after.

    Of results that `functools` keeps all are, if there are new ones.
    """
    spaces = _spaces(model)
    held = [value for space in spaces for value in _held(space)]
    containers = [(value, value.copy()) for value in held if type(value) in _CONTAINERS]
    names = [(space, {**space}) for space in spaces if type(space) is dict]
    functions = [(value, value.cache_info().misses) for value in held if isinstance(value, _KEPT_BY_PYTHON)]
    try:
        yield
    finally:
        for function, misses in functions:
            if function.cache_info().misses != misses:
                function.cache_clear()
        for value, before in containers:
            if not _are_same(value, before):
                value.clear()
                (value.extend if isinstance(value, list) else value.update)(before)
        for space, known in names:
            for name in [name for name, value in space.items() if isinstance(value, Tensor)]:
                if name in known:
                    space[name] = known[name]
                else:
                    del space[name]


def _spaces(model: nn.Module) -> list[Any]:
    """The names of the files that hold the network's code, and of the classes in them."""
    kinds = {kind: None for module in model.modules() for kind in type(module).__mro__}
    files = dict.fromkeys(kind.__module__ for kind in kinds if _is_code_of_networks(kind.__module__))
    for name in [*files]:
        for value in [*vars(sys.modules[name]).values()]:
            origin = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
            if isinstance(origin, str) and _is_code_of_networks(origin):
                files[origin] = None
    spaces: list[Any] = []
    for name in files:
        space = vars(sys.modules[name])
        spaces.append(space)
        spaces += [vars(own) for own in space.values() if isinstance(own, type) and own.__module__ == name]
    return spaces


def _is_code_of_networks(name: str) -> bool:
    return name in sys.modules and name.partition(".")[0] not in _OTHERS


def _held(space: Any) -> Iterator[Any]:
    """The values of the names, and what functions among them hold."""
    for name, value in space.items():
        if name.startswith("__"):
            continue
        yield value
        if isinstance(value, FunctionType):
            yield from (*vars(value).values(), *(value.__defaults__ or ()))


def _are_same(value: Any, before: Any) -> bool:
    """Whether a container holds the very same things."""
    if isinstance(value, dict):
        return [*value] == [*before] and [*map(id, value.values())] == [*map(id, before.values())]
    return [*map(id, value)] == [*map(id, before)]
