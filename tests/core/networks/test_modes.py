import gc

import pytest
from torch import nn

from netslim.core.networks.modes import collection_paused, evaluation_mode


def mixed() -> nn.Module:
    """A network in training mode with one frozen part."""
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.BatchNorm1d(2), nn.Dropout()))
    model[1][0].eval()  # type: ignore[index]
    return model


def modes(model: nn.Module) -> list[bool]:
    return [module.training for module in model.modules()]


def test_every_module_gets_its_own_mode_back() -> None:
    model = mixed()
    before = modes(model)
    with evaluation_mode(model):
        assert modes(model) == [False] * 5
    assert modes(model) == before == [True, True, True, False, True]


def test_after_an_exception_too() -> None:
    model = mixed()
    with pytest.raises(KeyError), evaluation_mode(model):
        raise KeyError
    assert modes(model) == [True, True, True, False, True]


def test_nested_and_already_in_eval_mode() -> None:
    model = mixed().eval()
    with evaluation_mode(model), evaluation_mode(model):
        assert not any(modes(model))
    assert not any(modes(model))


def test_python_collects_again_after_a_pause_and_after_an_exception_in_it() -> None:
    with collection_paused():
        with collection_paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(KeyError), collection_paused():
        raise KeyError
    assert gc.isenabled()
