"""What a recurrent layer reads its inputs with is a linear layer."""

import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence

from netslim.reconstruction.recurrent import input_weights, sequences


def test_it_is_the_recurrent_layers_own_weight() -> None:
    """At the first step, from a state of zeros, a plain recurrent layer gives tanh of it and of the other bias."""
    torch.manual_seed(0)
    layer = nn.RNN(4, 3)
    ((name, linear),) = input_weights("rnn", layer)
    x = torch.randn(1, 5, 4)
    assert name == "rnn.weight_ih_l0"
    torch.testing.assert_close(layer(x)[0], torch.tanh(linear(x) + layer.bias_hh_l0))
    assert linear.weight is layer.weight_ih_l0
    assert linear.bias is layer.bias_ih_l0


def test_each_direction_has_one_and_only_of_the_first_layer() -> None:
    layer = nn.LSTM(4, 3, num_layers=2, bidirectional=True, bias=False)
    found = dict(input_weights("", layer))
    assert list(found) == ["weight_ih_l0", "weight_ih_l0_reverse"]
    assert all(linear.bias is None and linear.weight.shape == (12, 4) for linear in found.values())
    assert not [*input_weights("fc", nn.Linear(4, 3))]


def test_images_come_first() -> None:
    steps = torch.arange(6.0).reshape(3, 2, 1)
    assert torch.equal(sequences(nn.GRU(1, 1), steps), steps.transpose(0, 1))
    assert sequences(nn.GRU(1, 1, batch_first=True), steps) is steps
    assert sequences(nn.GRU(1, 1), steps[:, 0]).shape == (3, 1)  # one sequence alone
    assert sequences(nn.GRU(1, 1), pack_sequence([steps[:, 0], steps[:2, 1]])).shape == (5, 1)
