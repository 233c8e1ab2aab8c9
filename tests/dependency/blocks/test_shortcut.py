"""What is left of a block whose branch is silent."""

import torch
from torch import Tensor, nn

from netslim.core.protocols import Slice
from netslim.dependency.blocks.shortcut import Shortcut, shortcut_of, silence_group_

from .nets import Block, Gated

SHAPE = (2, 16, 6, 6)


def silent(block: nn.Module, *layers: str) -> nn.Module:
    with torch.no_grad():
        for layer in layers:
            for parameter in block.get_submodule(layer).parameters():
                parameter.zero_()
    return block.eval()


def test_a_silent_block_is_its_shortcut_and_a_constant() -> None:
    images = torch.randn(SHAPE)
    for rectified in (True, False):
        block = silent(Block(16, 8, rectified=rectified), "conv1", "bn1")
        nn.init.uniform_(block.get_parameter("bn2.bias"), -1, 1)
        left = shortcut_of(block, SHAPE)
        assert left is not None
        assert (left.rectified, left.shift.shape) == (rectified, (16, 1, 1))
        torch.testing.assert_close(left(images.clone()), block(images.clone()))
        assert str(left) == f"Shortcut(16{', rectified' if rectified else ''})"


def test_others_are_none() -> None:
    class Sized(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.added = nn.Parameter(torch.zeros(16, 1, 40))

        def forward(self, x: Tensor) -> Tensor:
            return x + self.added

    assert shortcut_of(Block(16, 8).eval(), SHAPE) is None  # not silent
    assert shortcut_of(silent(Block(16, 8, 2), "conv1", "bn1"), SHAPE) is None  # halves the image
    assert shortcut_of(silent(Gated(16, 0.5), "conv", "norm"), SHAPE) is None  # half of its input
    assert shortcut_of(Sized().eval(), (2, 16, 40, 40)) is None  # of one size alone
    assert shortcut_of(silent(Gated(16), "conv", "norm"), SHAPE) is not None


def test_what_gives_a_group_is_silenced() -> None:
    tensors = {"a": torch.ones(3, 2), "b": torch.ones(3)}
    positions = torch.tensor([[0], [2]])
    cuts = [Slice(tensor=name, dim=0, positions=positions, produces=name == "a") for name in tensors]
    silence_group_(tensors, cuts)
    assert tensors["a"].sum(1).tolist() == [0, 2, 0]
    assert tensors["b"].sum() == 3


def test_it_is_built_of_numbers_alone() -> None:
    assert Shortcut(torch.tensor([1.0, -1.0]), 1, rectified=True)(torch.zeros(1, 2, 3)).sum() == 3
