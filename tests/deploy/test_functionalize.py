"""Graphs of networks that write into their tensors: later reads see what was written, whatever is rewritten after."""

from collections.abc import Callable

import pytest
import torch
from exported_networks import IMAGES, outputs, randomised
from torch import Tensor, nn
from torch.nn import functional as F

from netslim.deploy import Form, for_inference
from netslim.deploy.fx_graph import UntraceableError, capture


class ReadAgain(nn.Module):
    """A convolution's output, changed in place by `change` and read under its first name again, as a shortcut is."""

    def __init__(self, change: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.one, self.norm, self.two = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1)
        self.relu, self.head, self.change = nn.ReLU(inplace=True), nn.Linear(4, 2), change

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.one(x))
        before = self.two(x)
        changed = self.change(x) if self.change else self.relu(x)
        after = self.two(x) + (changed if isinstance(changed, Tensor) else x)
        return self.head((x * before + after).mean((2, 3)))


def grown(x: Tensor) -> Tensor:
    x += 1
    return x


CHANGES: dict[str, Callable[[Tensor], object] | None] = {
    "a layer": None,
    "a function": lambda x: F.relu(x, inplace=True),
    "a positional flag": lambda x: F.hardtanh(x, -0.1, 0.2, True),
    "a method": lambda x: x.mul_(2),
    "torch's own": lambda x: torch.relu_(x),
    "an operator": grown,
    "the result unused": lambda x: (x.sigmoid_(), None)[1],
    "twice": lambda x: x.relu_().add_(1),
}


@pytest.mark.parametrize("form", [Form(), Form(clamp=False, multiple=8)], ids=str)
@pytest.mark.parametrize("change", CHANGES)
def test_later_reads_see_what_was_written(change: str, form: Form) -> None:
    model = randomised(ReadAgain(CHANGES[change]))
    torch.testing.assert_close(outputs(for_inference(model, IMAGES, form), IMAGES), outputs(model, IMAGES))


def test_the_input_is_not_written_into() -> None:
    class First(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.relu_() + x

    before = IMAGES.clone()
    found = for_inference(First(), IMAGES)
    assert torch.equal(found(IMAGES), 2 * before.relu())
    assert torch.equal(IMAGES, before)


def test_in_inference_mode_too() -> None:
    model = randomised(ReadAgain(None))
    with torch.inference_mode():
        found = for_inference(model, IMAGES.clone())
    torch.testing.assert_close(outputs(found, IMAGES), outputs(model, IMAGES))


@pytest.mark.parametrize("change", [lambda x: x[:, :2].relu_(), lambda x: x.view(-1).add_(1)])
def test_parts_that_are_written_make_no_plain_graph(change: Callable[[Tensor], object]) -> None:
    with pytest.raises(UntraceableError, match=r"ReadAgain|changes part of what '.*' reads, in place"):
        capture(ReadAgain(change), IMAGES)


def test_activations_are_in_place_where_nothing_else_reads() -> None:
    found = for_inference(randomised(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 2, 1))), IMAGES)
    assert [layer.inplace for layer in found.children() if isinstance(layer, nn.ReLU)] == [True]
    again = for_inference(randomised(ReadAgain(None)), IMAGES, Form(clamp=False))
    assert [layer.inplace for layer in again.children() if isinstance(layer, nn.ReLU)] == [False]
