import torch

from optimizers.scaled_network import after_steps, assert_scales_alone_go_without_decay, built, network


def test_its_steps_are_torchs() -> None:
    ours, theirs = network(), network()
    expected = after_steps(theirs, torch.optim.AdamW(theirs.parameters(), lr=0.01, weight_decay=0.1))
    found = after_steps(ours, built("adamw", ours))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)


def test_without_decay_on_scales_only_they_go_as_without_any() -> None:
    assert_scales_alone_go_without_decay("adamw")
