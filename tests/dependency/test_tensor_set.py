"""Tensors are told apart by what they are, not by their values."""

import gc

import torch

from netslim.dependency.tensor_set import TensorSet


def test_equal_tensors_are_others_and_those_that_were_let_go_are_in_it_no_more() -> None:
    tensors, own = TensorSet(), torch.zeros(2)
    tensors.add(own)
    assert own in tensors
    assert torch.zeros(2) not in tensors
    tensors.discard(own)
    tensors.discard(own)
    assert own not in tensors


def test_no_later_tensor_takes_the_place_of_one_that_nobody_else_keeps() -> None:
    tensors = TensorSet()
    for _ in range(10):
        tensors.add(torch.zeros(2))
    gc.collect()
    assert not any(torch.zeros(2) in tensors for _ in range(100))
