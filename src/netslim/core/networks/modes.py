"""Temporary modes: of networks (train or eval, what they note), and of Python's garbage collector."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Every module in eval mode inside, and each back in its own mode after."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def attributes_kept(model: nn.Module) -> Iterator[None]:
    """What modules note of themselves inside (sizes that they saw first, say) is forgotten after."""
    before = [(module, dict(vars(module))) for module in model.modules()]
    try:
        yield
    finally:
        for module, known in before:
            if [*map(id, vars(module).values())] != [*map(id, known.values())] or [*vars(module)] != [*known]:
                vars(module).clear()
                vars(module).update(known)


@contextmanager
def collection_paused() -> Iterator[None]:
    """Python does not look for unreachable cycles inside, and so frees none at a moment of its own choice.

    Also for work of seconds that makes many objects, all of them in use: their number alone sets off searches through
    all that is loaded, a third of a second each.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
