"""Which code is a network's own."""

import sys

import torch
import torchvision
from torch import fx, nn

import netslim.dependency.trace
from netslim.core.networks import modes
from netslim.dependency.code_lines import file_of_network, line_of


def test_the_line_that_a_frame_runs() -> None:
    frame = sys._getframe()
    assert line_of(frame) == f"{__file__}:{frame.f_lineno}"


def test_neither_torch_nor_what_follows_a_run_is_a_network_s_code() -> None:
    assert file_of_network(__file__) == "test_code_lines.py"
    assert file_of_network(str(torchvision.models.resnet.__file__)) == "resnet.py"
    for module in (torch.nn.functional, netslim.dependency.trace, modes):
        assert file_of_network(str(module.__file__)) is None


def test_copies_of_generated_code_have_one_name() -> None:
    first, second = (fx.symbolic_trace(nn.Sequential(nn.ReLU())) for _ in range(2))
    paths = [type(network).forward.__code__.co_filename for network in (first, second)]
    assert paths[0] != paths[1]
    assert file_of_network(paths[0]) == file_of_network(paths[1]) == "<eval_with_key>"
