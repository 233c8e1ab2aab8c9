"""What networks' code does to the symbols that it gets in the place of inputs."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from netslim.core.networks.example import Inputs
from netslim.deploy.fx_graph import UntraceableError, capture
from netslim.deploy.tracing.symbols import SizedTracer, Tracer, chosen, positional_names
from netslim.models import ChannelSelection

IMAGES = torch.randn(2, 3, 7, 9, generator=torch.Generator().manual_seed(0))


class Same(nn.Conv2d):
    """Pads so that the output has the size of the input, divided by the stride and rounded up: TensorFlow's SAME."""

    def forward(self, x: Tensor) -> Tensor:
        needed = [max((math.ceil(side / 2) - 1) * 2 + 3 - side, 0) for side in x.shape[-2:]]
        sides = [part for each in reversed(needed) for part in (each // 2, each - each // 2)]
        return F.conv2d(F.pad(x, sides), self.weight, self.bias, self.stride)


class Sized(nn.Module):
    """Reads sizes in every way there is, and writes into its input."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = Same(3, 4, 3, stride=2), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        x += 1.0
        x = self.norm(self.conv(x))
        batch, channels, height, width = x.size()
        if x.dim() == 4 and x.ndim == 4 and width > height:
            x = x.view(batch, channels // 2, 2, height * width)
        return x.mean([*range(2, x.dim())]) * math.sqrt(channels)


def traced(tracer: Tracer, model: nn.Module) -> fx.GraphModule:
    return fx.GraphModule(model, tracer.trace(model))


def test_code_that_computes_with_sizes_takes_those_of_the_example() -> None:
    model = Sized().eval()
    network = capture(model, IMAGES)
    many = torch.randn(5, 3, 7, 9)
    torch.testing.assert_close(network(many.clone()), model(many.clone()))
    assert [type(layer) for layer in network.children()] == [nn.Conv2d, nn.BatchNorm2d]
    with pytest.raises(fx.proxy.TraceError):
        Tracer(Inputs.of(IMAGES)).trace(model)


def test_layers_are_computed_and_not_traced_for_their_sizes() -> None:
    """Those of torch call layers of their own."""
    model = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    tracer = SizedTracer(Inputs.of(torch.randn(2, 5, 8)))
    nodes = [*tracer.trace(nn.Sequential(model)).nodes]
    assert [node.op for node in nodes] == ["placeholder", "call_module", "output"]
    assert tracer.values[nodes[1]].shape == (2, 5, 8)


class OtherBatch(nn.Module):
    """At symbols its code writes the batch of the example into the graph."""

    def forward(self, x: Tensor) -> Tensor:
        turned = x.transpose(0, 1)
        return x * turned.shape[1] if math.isfinite(x.shape[2]) else x


def test_a_graph_of_one_batch_only_is_none() -> None:
    with pytest.raises(UntraceableError, match=r"^OtherBatch has no fixed graph \(test_symbols\.py:\d+, "):
        capture(OtherBatch().eval(), IMAGES)


class Optional(nn.Module):
    def forward(self, x: Tensor, shift: Tensor, *more: Tensor, mask: Tensor | None = None) -> Tensor:
        return sum(more, x + shift) if mask is None else x * mask  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("example", "names"),
    [
        ((IMAGES, IMAGES), ["x", "shift"]),
        ({"shift": IMAGES, "x": IMAGES}, ["shift", "x"]),
        ({"x": IMAGES, "shift": IMAGES, "mask": IMAGES}, ["x", "shift", "mask"]),
        ((IMAGES, IMAGES, IMAGES, IMAGES), ["x", "shift", "more_0", "more_1"]),
    ],
)
@pytest.mark.parametrize("kind", [Tracer, SizedTracer])
def test_there_is_a_symbol_for_each_input_that_is_given(kind: type[Tracer], example: Any, names: list[str]) -> None:
    inputs = Inputs.of(example)
    network = traced(kind(inputs), Optional())
    assert [node.target for node in network.graph.nodes if node.op == "placeholder"] == names
    assert torch.equal(network(*inputs.tensors), inputs.call(Optional()))


def test_more_inputs_than_the_code_has_names_for() -> None:
    assert positional_names(lambda self, x: x, 2) == ["x", "input_0"]


def test_a_selection_has_an_index() -> None:
    selection = ChannelSelection(4)
    selection.select([1, 3])
    assert (found := chosen(selection)) is not None
    assert found.tolist() == [1, 3]
    assert chosen(nn.ReLU()) is None
