"""What every export target has."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from netslim.core.errors import NetslimError, UsageError
from netslim.deploy.target import Target, compiled, input_of, start_with_torch, without_gradients

IMAGES = torch.randn(2, 3, 4, 4)


def test_a_target_says_which_package_it_misses() -> None:
    Target(packages=("torch",)).check("mine")
    with pytest.raises(UsageError) as caught:
        Target(packages=("torch", "netslim_has_no_such_package")).check("mine")
    assert str(caught.value) == (
        "target mine needs the package netslim_has_no_such_package, which is not installed; "
        "type pip install 'netslim[export]'"
    )


def test_files_are_recognised_by_their_ending_and_folders_are_not() -> None:
    assert Target(suffix=".pt2").recognises(Path("a.pt2"), {})
    assert not Target(suffix=".pt2").recognises(Path("a.onnx"), {})
    assert not Target().recognises(Path("folder"), {})


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        ({"input_shape": [3, 4, 5], "macs": 7, "more": 1}, {"shape": (3, 4, 5), "macs": 7}),
        ({}, {"shape": None, "macs": None}),
    ],
)
def test_facts_of_a_file(facts: dict[str, Any], found: dict[str, Any]) -> None:
    assert input_of(facts) == found


def test_a_network_runs_as_it_is_and_without_gradients() -> None:
    network = nn.Conv2d(3, 2, 1)
    found = without_gradients(network)(IMAGES)
    assert not found.requires_grad
    again = start_with_torch(network)("eager", IMAGES, 1)()
    assert isinstance(again, Tensor)
    assert torch.equal(again, found)


def test_a_compiler_that_fails_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object, **__: object) -> nn.Module:
        return nn.Conv2d(5, 1, 1)

    monkeypatch.setattr(torch, "compile", failing)
    with pytest.raises(NetslimError, match=r"^torch\.compile failed: .*; it needs a C\+\+ compiler: leave the engine"):
        compiled(nn.Conv2d(3, 2, 1), IMAGES)
