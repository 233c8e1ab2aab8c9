"""Copies of networks, in which functions that hold parts of the network hold the copy's.

Python copies no function: `self.block = lambda x: self.conv(x)` in a copy would go on with the original's layer,
whatever is cut, loaded or trained in the copy. The same goes for hooks that were made inside of other functions, and
for a `forward` that was put in a network's place.
"""

from __future__ import annotations

import copy
import dis
import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import CellType, CodeType, FunctionType, MethodType
from typing import Any, TypeVar

from torch import Tensor, nn
from torch.jit import ScriptFunction

from netslim.core.errors import UsageError
from netslim.core.networks.torch_internals import COMPILED_CALL

M = TypeVar("M", bound=nn.Module)
_ATOMS = {bool, int, float, str, type(None), type}
_EMPTY = CellType()  # says nothing: a cell that is not filled yet


def copied(model: M, known: Mapping[int, object] | None = None) -> M:
    """`copy.deepcopy` of a network, functions included, and what it computed and keeps (weight_norm, feature maps).

    Args:
        model: left unchanged.
        known: by the id of a part of the model, what stands for it in the copy.
    """
    memo: dict[int, Any] = {**(known or {})}
    with held_along([*model.modules()], memo):
        return copy.deepcopy(model, memo)


@contextmanager
def held_along(modules: Sequence[nn.Module], memo: dict[int, Any]) -> Iterator[None]:
    """What is copied inside with this `memo` gets functions of its own, where they hold parts of these modules.

    Tensors that were computed and kept have a history, which can't be copied: they get the values alone.
    """
    found = _Held(modules)
    twins = [(own, _twin(own)) for own in found.functions]
    memo.update({id(own): twin for own, twin in twins})
    memo.update({id(own): own for own in found.scripted})
    for tensor in found.computed:
        memo.setdefault(id(tensor), tensor.detach().clone())
    yield
    for own, twin in twins:
        for cell, empty in zip(own.__closure__ or (), twin.__closure__ or (), strict=True):
            if _is_filled(cell):
                empty.cell_contents = found.moved(cell.cell_contents, memo)
        twin.__defaults__ = found.moved(own.__defaults__, memo)
        twin.__kwdefaults__ = found.moved(own.__kwdefaults__, memo)
    for module, name, method in found.methods:
        own = vars(memo[id(module)])
        own[name] = MethodType(memo[id(method.__func__)], own[name].__self__)


class _Held:
    """What modules hold beside layers and parameters.

    Attributes:
        functions: those that hold parts of these modules, in the order in which they are met.
        computed: tensors with a history.
        scripted: functions of TorchScript, which hold no parts of networks and can't be copied.
        methods: those of single modules (`model.forward = MethodType(f, model)`): where, and which.
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        self.functions: list[FunctionType] = []
        self.computed: list[Tensor] = []
        self.scripted: list[Any] = []
        self.methods: list[tuple[nn.Module, str, MethodType]] = []
        self._answers: dict[int, bool] = {}
        self._modules = {id(module) for module in modules}
        self._parts = {*self._modules}
        held = [(module, *entry) for module in modules for entry in vars(module).items() if _may_hold(*entry)]
        self._parts |= {id(value) for _, _, value in held if isinstance(value, dict | list | set)}
        for module in modules:
            self._parts |= {
                id(own) for own in (*module._parameters.values(), *module._buffers.values()) if own is not None
            }
        for module, name, value in held:
            if isinstance(value, MethodType) and self._holds(value.__func__):
                self.methods.append((module, name, value))
            for part in _inside(value) if id(value) in self._parts else (value,):
                self._holds(part)

    def moved(self, value: Any, memo: dict[int, Any]) -> Any:
        """What stands for a value of a function in the copy: itself, unless it holds parts of the modules."""
        return copy.deepcopy(value, memo) if self._holds(value) else value

    def _holds(self, value: Any) -> bool:
        """Whether a value is a part of the modules or has one inside; functions that do are noted."""
        if id(value) in self._parts:
            return True
        if isinstance(value, Tensor):
            self.computed += [] if value.is_leaf else [value]
            return False
        if isinstance(value, ScriptFunction):
            self.scripted.append(value)
            return False
        if id(value) not in self._answers:
            self._answers[id(value)] = False  # while it is asked: functions may hold themselves
            inside = [self._holds(part) for part in _inside(value)]  # all of them are asked
            self._answers[id(value)] = any(inside)
            if isinstance(value, FunctionType):
                self._check_globals(value)
                self.functions += [value] if any(inside) else []
        return self._answers[id(value)]

    def _check_globals(self, function: FunctionType) -> None:
        """Raises UsageError for a function that finds the network under a name of its file, as it would in a copy."""
        for name in _global_names(function.__code__):
            if id(function.__globals__.get(name)) in self._modules:
                line = f"{Path(function.__code__.co_filename).name}:{function.__code__.co_firstlineno}"
                raise UsageError(
                    f"{line}: this function finds the network under the global name '{name}', and would work on it "
                    f"even in a copy; give it the network as an argument, as types.MethodType(function, {name}) does"
                )


def _may_hold(name: str, value: Any) -> bool:
    if type(value) in _ATOMS or name == COMPILED_CALL or isinstance(value, nn.Module):
        return False
    return not isinstance(value, dict | list | set | tuple) or len(value) > 0


def _inside(value: Any) -> Iterable[Any]:
    """What a container or a function holds."""
    if isinstance(value, FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or () if _is_filled(cell)]
        return [*cells, *(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()]
    if isinstance(value, MethodType):
        return value.__func__, value.__self__
    if isinstance(value, functools.partial):
        return value.func, *value.args, *value.keywords.values()
    if isinstance(value, dict):
        return [*value.values()]
    return [*value] if isinstance(value, list | tuple | set) else ()


def _global_names(code: CodeType) -> Iterator[str]:
    """The names that code looks up beside functions, and the code of functions inside of it."""
    yield from (found.argval for found in dis.get_instructions(code) if found.opname == "LOAD_GLOBAL")
    for own in code.co_consts:
        if isinstance(own, CodeType):
            yield from _global_names(own)


def _is_filled(cell: CellType) -> bool:
    """Whether the variable of a function has a value: one that is assigned further down has none yet."""
    return cell != _EMPTY


def _twin(function: FunctionType) -> FunctionType:
    """The same function with variables of its own, which have no value yet."""
    cells = tuple(CellType() for _ in function.__closure__ or ())
    twin = FunctionType(function.__code__, function.__globals__, function.__name__, None, cells)
    twin.__qualname__ = function.__qualname__
    twin.__dict__.update(function.__dict__)
    return twin
