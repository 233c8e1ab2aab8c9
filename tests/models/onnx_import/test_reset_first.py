"""The gated recurrent unit whose reset gate comes before the state's matrix."""

import pytest
import torch
from torch import nn

from netslim.models.onnx_import.reset_first import ResetFirstGRU


def random_one(**settings):
    torch.manual_seed(0)
    layer = ResetFirstGRU(4, 3, **settings).double()
    layer.load_state_dict({name: torch.randn_like(tensor) for name, tensor in layer.state_dict().items()})
    return layer


def test_one_step_is_the_formula():
    layer, given, state = random_one(), torch.randn(1, 2, 4).double(), torch.randn(1, 2, 3).double()
    inner = (given[0] @ layer.weight_ih_l0.t() + layer.bias_ih_l0).chunk(3, -1)
    r_matrix, z_matrix, n_matrix = layer.weight_hh_l0.chunk(3)
    r_bias, z_bias, n_bias = layer.bias_hh_l0.chunk(3)
    reset = torch.sigmoid(inner[0] + state[0] @ r_matrix.t() + r_bias)
    update = torch.sigmoid(inner[1] + state[0] @ z_matrix.t() + z_bias)
    new = torch.tanh(inner[2] + (reset * state[0]) @ n_matrix.t() + n_bias)
    output, last = layer(given, state)
    assert torch.allclose(output[0], (1 - update) * new + update * state[0])
    assert torch.equal(last, output)


@pytest.mark.parametrize("settings", [{}, {"bidirectional": True}, {"bias": False}])
def test_it_is_torchs_where_the_matrix_changes_nothing(settings):
    """With R of the new state the identity and no bias of its own, r * (R h) is R (r * h)."""
    layer, given = random_one(**settings), torch.randn(5, 2, 4).double()
    state = layer.state_dict()
    for name, tensor in state.items():
        if "hh" in name:
            tensor[6:] = torch.eye(3) if "weight" in name else 0
    layer.load_state_dict(state)
    other = nn.GRU(4, 3, **settings).double()
    other.load_state_dict(state)
    for own, torchs in zip(layer(given), other(given), strict=True):
        assert torch.allclose(own, torchs)
