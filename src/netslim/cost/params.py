"""Parameter counts."""

from torch import nn


def count_params(model: nn.Module) -> int:
    """Number of learnable scalars. (The original code counts its selection vectors too: 8,080 more at depth 164.)"""
    return sum(parameter.numel() for parameter in model.parameters())
