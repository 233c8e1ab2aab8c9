import torch

from optimizers.scaled_network import after_steps, assert_scales_alone_go_without_decay, built, network


def test_its_steps_are_torchs() -> None:
    ours, theirs = network(), network()
    expected = after_steps(theirs, torch.optim.AdamW(theirs.parameters(), lr=0.01, weight_decay=0.1, fused=True))
    found = after_steps(ours, built("adamw", ours))
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_without_decay_on_scales_only_they_go_as_without_any() -> None:
    assert_scales_alone_go_without_decay("adamw")
