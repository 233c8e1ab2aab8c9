"""Functions that are seen as a whole: what they were given, and the shapes that they give."""

import pytest
import torch
from torch import nn

from netslim.core.networks.whole_functions import WholeCall, WholeFunctions


def calls_of(module: nn.Module, *inputs: object) -> tuple[list[WholeCall], object]:
    """The calls that are handed over while a module runs, and what it gives."""
    found: list[WholeCall] = []

    def act(call: WholeCall) -> object:
        found.append(call)
        return NotImplemented

    with WholeFunctions(act), torch.no_grad():
        return found, module(*inputs)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(("kind", "name"), [(nn.LSTM, "lstm"), (nn.GRU, "gru"), (nn.RNN, "rnn_tanh")])
def test_recurrent_layers_are_one_call_with_known_shapes(
    kind: type[nn.RNNBase], name: str, bidirectional: bool
) -> None:
    (call,), (output, states) = calls_of(kind(3, 5, bidirectional=bidirectional), torch.randn(7, 2, 3))
    assert (call.name, call.is_recurrent) == (name, True)
    states = states if isinstance(states, tuple) else (states,)
    assert call.shapes() == [output.shape, *(state.shape for state in states)]


def test_packed_sequences() -> None:
    packed = nn.utils.rnn.pack_sequence([torch.randn(4, 3), torch.randn(2, 3)])
    (call,), (output, _) = calls_of(nn.GRU(3, 5), packed)
    assert call.shapes()[0] == output.data.shape
    assert call.input.shape == (6, 3)


def test_instance_norm_is_one_call_and_can_be_replaced() -> None:
    x = torch.randn(2, 3, 4, 4)
    norm = nn.InstanceNorm2d(3)
    assert [call.name for call in calls_of(norm, x)[0]] == ["instance_norm"]
    with WholeFunctions(lambda call: call.input + 1):
        torch.testing.assert_close(norm(x), x + 1)


def test_numbers_of_python_keep_their_values_where_shapes_are_asked_for() -> None:
    like = torch.empty(2, dtype=torch.float64, device="meta")
    with WholeFunctions(lambda call: NotImplemented) as functions:
        made = [torch.tensor([1, 2], device="meta"), torch.as_tensor(3.0, device=like.device), like.new_tensor(4)]
        assert functions.met
        hollow = torch.tensor([torch.empty((), device="cpu"), 1.0]), torch.as_tensor(like, device="meta")
    assert [(tensor.tolist(), tensor.dtype) for tensor in made] == [
        ([1, 2], torch.int64),
        (3.0, torch.float32),
        (4.0, torch.float64),
    ]
    assert hollow[1] is like


def test_other_functions_run_as_they_are() -> None:
    found, output = calls_of(nn.Linear(3, 2), torch.ones(1, 3))
    assert found == []
    assert output.shape == (1, 2)
