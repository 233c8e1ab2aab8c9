"""Which channels stay after a cut network did something else, and the reason that is given."""

import pytest
import torch
from torch import Tensor, nn

from netslim.core.protocols import ChannelGroup, Slice
from netslim.cost import MacCount
from netslim.dependency.causes import freeze_cause
from netslim.dependency.channel_sets import ChannelSets, TensorChannels
from netslim.dependency.derivation import Derivation
from netslim.dependency.meta_ops import MetaOps
from netslim.dependency.trace import Event, Place, Trace

NAMES = ("a", "b", "c", "d")
KEEPS = [[0]] * 4


def derivation(touched: str, name: str = "mul") -> Derivation:
    """Four groups of two channels each, and one event that reads those of `touched`."""
    trace = Trace(ChannelSets())
    trace.dims = {(name, 0): trace.sets.fresh(2) for name in NAMES}
    inputs = tuple(
        TensorChannels(0, trace.dims[name, 0], torch.ones(2, dtype=torch.bool)) for name in NAMES if name in touched
    )
    trace.events = [Event(name, "net.py:5", inputs, ())]
    positions = torch.tensor([[0], [1]])
    groups = [
        ChannelGroup(name=name, scales=(), slices=(Slice(tensor=name, dim=0, positions=positions),)) for name in NAMES
    ]
    return Derivation(tuple(groups), (), trace, (), MacCount(), MetaOps())


def frozen(found: Derivation) -> dict[str, str]:
    reasons = found.trace.sets.frozen()
    channels = {name: found.trace.dims[name, 0].tolist() for name in NAMES}
    return {name: reasons[labels[0]] for name, labels in channels.items() if {*labels} <= reasons.keys()}


@pytest.mark.parametrize(
    ("touched", "culprits", "expected"),
    [
        ("b", "", {"b": "has a fixed size at net.py:5 (mul)"}),
        ("bc", "", dict.fromkeys("bc", "has a fixed size at net.py:5 (mul)")),
        ("a", "d", {"d": "has a fixed size at net.py:5 (mul)"}),
        ("a", "bd", dict.fromkeys("bd", "has a fixed size at net.py:5 (mul)")),
        ("", "c", {"c": "has a fixed size at net.py:5 (mul)"}),
        ("", "", dict.fromkeys("abcd", "could not be followed at net.py:5 (mul)")),
    ],
)
def test_those_that_are_touched_stay_unless_others_alone_are_to_blame(
    touched: str, culprits: str, expected: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = derivation(touched)
    (event,) = found.trace.events

    def fault(self: Derivation, model: nn.Module, keeps: dict[Place, Tensor]) -> Event | None:
        return event if any(name in culprits for name, _ in keeps) else None

    monkeypatch.setattr(Derivation, "fault", fault)
    freeze_cause(found, event, nn.Identity(), KEEPS)
    assert frozen(found) == expected


def test_where_others_do_something_else_elsewhere_the_touched_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    found = derivation("a")
    (event,) = found.trace.events
    monkeypatch.setattr(Derivation, "fault", lambda *_: Event("view", "net.py:9", (), ()))
    freeze_cause(found, event, nn.Identity(), KEEPS)
    assert frozen(found) == {"a": "has a fixed size at net.py:5 (mul)"}


def test_those_that_are_taken_apart_by_the_width_of_others_go_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    found = derivation("a", "view")
    (event,) = found.trace.events

    def fault(self: Derivation, model: nn.Module, keeps: dict[Place, Tensor]) -> Event | None:
        return event if any(name == "d" for name, _ in keeps) else None

    monkeypatch.setattr(Derivation, "fault", fault)
    freeze_cause(found, event, nn.Identity(), KEEPS)
    assert not frozen(found)
    assert torch.equal(*(found.trace.sets.roots(found.trace.dims[name, 0]) for name in "ad"))
    freeze_cause(found, event, nn.Identity(), KEEPS)  # it was another size
    assert frozen(found) == {"a": "has a fixed size at net.py:5 (view)"}  # and with it "d"
