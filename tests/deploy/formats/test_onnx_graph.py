"""A network for inference as an ONNX model, node by node."""

from collections.abc import Callable
from typing import cast

import pytest
import torch
from torch import Tensor, nn

from netslim.deploy.formats.onnx_graph import IR_VERSION, OPSET, NotWrittenError, onnx_model
from netslim.deploy.formats.onnx_runtime import onnx_session, run_session
from netslim.deploy.fx_graph import capture

IMAGES = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    """Named as its only output is, with pools, activations and sums."""

    def __init__(self) -> None:
        super().__init__()
        self.output = nn.Conv2d(4, 6, 3, stride=2, padding=2, dilation=2, groups=2)
        self.norm, self.pool = nn.BatchNorm2d(6), nn.MaxPool2d(3, 1, 1)
        self.parts, self.head = nn.AdaptiveAvgPool2d(2), nn.Linear(24, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.output(x))
        x = nn.functional.silu(x) * nn.functional.hardsigmoid(x) + nn.functional.relu6(self.pool(x))
        return cast(Tensor, self.head(torch.flatten(self.parts(x), 1)))


def test_a_model_computes_the_same_at_any_batch_size() -> None:
    model = Net().eval()
    written = onnx_model(capture(model, IMAGES), {"mine": "yes"})
    assert {entry.key: entry.value for entry in written.metadata_props} == {"mine": "yes"}
    assert (written.opset_import[0].version, written.ir_version) == (OPSET, IR_VERSION)
    session, images = onnx_session(written.SerializeToString(), 1), torch.randn(5, 4, 8, 8)
    assert [output.name for output in session.get_outputs()] == ["output"]
    torch.testing.assert_close(run_session(session, images), model(images).detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (nn.AdaptiveAvgPool2d(3), "parts that overlap"),
        (nn.Conv2d(4, 2, 3, padding=1, padding_mode="reflect"), "padding reflect"),
        (nn.Linear(8, 2), "a linear layer on more than two dimensions"),
        (nn.Flatten(2), "flattening of some dimensions"),
        (nn.PixelShuffle(2), "PixelShuffle"),
    ],
)
def test_what_is_not_written_is_named(layer: nn.Module, message: str) -> None:
    with pytest.raises(NotWrittenError, match=f"^{message}$"):
        onnx_model(capture(nn.Sequential(layer), IMAGES), {})


def test_an_average_over_windows_that_reach_beyond_the_image() -> None:
    """ceil_mode without padding: what is outside does not count."""
    model, images = nn.AvgPool2d(2, 2, ceil_mode=True), torch.randn(2, 4, 7, 7)
    session = onnx_session(onnx_model(capture(model, images), {}).SerializeToString(), 1)
    torch.testing.assert_close(run_session(session, images), model(images))
    with pytest.raises(NotWrittenError, match="an average with a divisor of its own"):
        onnx_model(capture(nn.AvgPool2d(3, 2, padding=1, ceil_mode=True), images), {})


class Called(nn.Module):
    """A function of the maps, as a forward calls it."""

    def __init__(self, call: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.call = call

    def forward(self, x: Tensor) -> Tensor:
        return self.call(x)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: x.clamp(0, 0.5),
        lambda x: x.clamp(min=0.1),
        lambda x: torch.clamp(x, max=0.2),
        lambda x: torch.cat([x, x], 1),
        lambda x: torch.cat([x, x * 2], dim=-1),
        lambda x: x.mean(axis=(2, 3)),
    ],
)
def test_however_a_function_is_called(call: Callable[[Tensor], Tensor]) -> None:
    session = onnx_session(onnx_model(capture(Called(call), IMAGES), {}).SerializeToString(), 1)
    torch.testing.assert_close(run_session(session, IMAGES), call(IMAGES))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: torch.cat(tensors=(x, x), dim=1), "cat as it is called here"),
        (lambda x: x.mean((1, 2)), "a mean over other dimensions"),
        (lambda x: x.clamp(x.mean((2, 3), keepdim=True)), "clamp as it is called here"),
    ],
)
def test_calls_of_another_kind_are_not_written(call: Callable[[Tensor], Tensor], message: str) -> None:
    """Of as many columns as channels, a mean over rows and channels has the shape of one over the image."""
    with pytest.raises(NotWrittenError, match=f"^{message}$"):
        onnx_model(capture(Called(call), torch.randn(2, 8, 8, 8)), {})
