"""Sets of tensors, which are told apart by what they are and not by their values."""

from torch import Tensor


class TensorSet:
    """Tensors by identity. It keeps them, so that no later one takes the id of one that is gone.

    >>> import torch
    >>> tensors, tensor = TensorSet(), torch.zeros(2)
    >>> tensors.add(tensor)
    >>> tensor in tensors, torch.zeros(2) in tensors
    (True, False)
    """

    def __init__(self) -> None:
        self._tensors: dict[int, Tensor] = {}

    def __contains__(self, tensor: Tensor) -> bool:
        return id(tensor) in self._tensors

    def add(self, tensor: Tensor) -> None:
        """Takes a tensor in."""
        self._tensors[id(tensor)] = tensor

    def discard(self, tensor: Tensor) -> None:
        """Lets a tensor go, if it is there."""
        self._tensors.pop(id(tensor), None)
