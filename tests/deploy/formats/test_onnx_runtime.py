"""ONNX Runtime on the CPU."""

import pytest
import torch
from torch import Tensor, nn

from netslim.core.errors import CheckpointError
from netslim.deploy.formats.onnx_graph import onnx_model
from netslim.deploy.formats.onnx_runtime import onnx_session, run_session, said_by
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


LOADED = (
    "[ONNXRuntimeError] : 1 : FAIL : Load model from a/net.onnx failed:/onnxruntime_src/onnxruntime/core/graph/"
    "model_load_utils.h:46 void onnxruntime::model_load_utils::ValidateOpsetForDomain(const std::unordered_map<"
    "std::__cxx11::basic_string<char>, int>&, bool, int) ONNX Runtime only *guarantees* support for models stamped "
    "with official released onnx opset versions. Opset 99 is under development."
)
SHAPED = (
    "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Got invalid dimensions for input: x for the following indices\n"
    " index: 0 Got: 1 Expected: 0\n Please fix either the inputs/outputs or the model."
)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            LOADED,
            "Load model from a/net.onnx failed: ONNX Runtime only *guarantees* support for models stamped with "
            "official released onnx opset versions",
        ),
        (SHAPED, "Got invalid dimensions for input: x for the following indices index: 0 Got: 1 Expected: 0"),
        (
            "[ONNXRuntimeError] : 9 : NOT_IMPLEMENTED : Could not find an implementation for Conv(11) node '/0/Conv'",
            "Could not find an implementation for Conv(11) node '/0/Conv'",
        ),
        (
            "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running Reshape node. "
            "Name:'r' Status Message: /src/core/reshape_helper.h:40 ReshapeHelper(...) input was false.",
            "Non-zero status code returned while running Reshape node",
        ),
        ("", "RuntimeError"),
    ],
)
def test_what_it_says_is_a_sentence_without_its_source(error: str, said: str) -> None:
    assert said_by(RuntimeError(error)) == said


def test_a_run_that_fails_prints_nothing_of_its_own(capfd: pytest.CaptureFixture[str]) -> None:
    from onnx import TensorProto, helper

    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in "xy"]
    shape = helper.make_tensor("shape", TensorProto.INT64, [1], [7])
    graph = helper.make_graph([helper.make_node("Reshape", ["x", "shape"], ["y"])], "g", ports[:1], ports[1:], [shape])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnx_session(model.SerializeToString(), 1)
    with pytest.raises(Exception, match="Reshape"):
        run_session(session, torch.zeros(5))
    assert capfd.readouterr() == ("", "")
