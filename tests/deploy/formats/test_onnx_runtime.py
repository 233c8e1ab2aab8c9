"""ONNX Runtime on the CPU."""

import pytest
import torch
from torch import Tensor, nn

from netslim.core.errors import CheckpointError
from netslim.deploy.formats.onnx_graph import onnx_model
from netslim.deploy.formats.onnx_runtime import onnx_session, run_session
from netslim.deploy.fx_graph import capture

IMAGES = torch.tensor([[[[-1.0, 2.0]]], [[[3.0, -4.0]]]])


class Two(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return torch.relu(x), x + x


def session_of(model: nn.Module, threads: int) -> object:
    return onnx_session(onnx_model(capture(model, IMAGES), {}).SerializeToString(), threads)


def test_one_output_is_a_tensor_and_several_are_a_list() -> None:
    one = run_session(session_of(nn.ReLU(), 1), IMAGES.clone().requires_grad_())
    assert isinstance(one, Tensor)
    assert torch.equal(one, IMAGES.clamp(min=0))
    several = run_session(session_of(Two(), 1), IMAGES)
    assert isinstance(several, list)
    assert torch.equal(torch.stack(several), torch.stack([IMAGES.clamp(min=0), 2 * IMAGES]))


def test_a_session_has_the_threads_that_it_was_given() -> None:
    options = session_of(nn.ReLU(), 2).get_session_options()  # type: ignore[attr-defined]
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (2, 1)


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(CheckpointError, match=r"^ONNX Runtime can't read the model: [^\n]+$"):
        onnx_session(b"no model", 1)
