"""What a plan asks of an engine is what the engine has."""

import inspect

import pytest

from netslim.deploy.latency import Engine
from netslim.pruning.budget.timing import TimingEngine

METHODS = [name for name, own in vars(TimingEngine).items() if inspect.isfunction(own) and not name.startswith("_")]


@pytest.mark.parametrize("name", METHODS)
def test_the_engine_takes_what_plans_give(name: str) -> None:
    asked, had = (inspect.signature(getattr(kind, name)).parameters for kind in (TimingEngine, Engine))
    assert list(asked) == list(had)
    assert len(METHODS) == 3


def test_the_engine_says_what_it_is() -> None:
    engine = Engine("eager", batch_size=3, threads=1)
    found = {name: getattr(engine, name) for name in inspect.get_annotations(TimingEngine)}
    assert found == {"name": "eager", "batch_size": 3, "threads": 1, "int8": False, "is_here": True}
