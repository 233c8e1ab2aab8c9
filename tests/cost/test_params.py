"""Learnable numbers are counted, each once."""

from torch import nn

from netslim.cost import count_params
from netslim.models import ChannelSelection


def test_buffers_and_selections_are_no_parameters() -> None:
    assert count_params(nn.BatchNorm2d(4)) == 8
    assert count_params(ChannelSelection(16)) == 0


def test_a_shared_layer_counts_once() -> None:
    layer = nn.Linear(3, 2)
    assert count_params(nn.Sequential(layer, nn.ReLU(), layer)) == 8
