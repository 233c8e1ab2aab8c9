import pytest
import torch

from optimizers.scaled_network import after_steps, assert_scales_alone_go_without_decay, built, network


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.5, True)])
def test_its_steps_are_torchs_with_every_setting(momentum: float, nesterov: bool) -> None:
    ours, theirs = network(), network()
    given = {"momentum": momentum, "nesterov": nesterov}
    expected = after_steps(
        theirs,
        torch.optim.SGD(theirs.parameters(), lr=0.01, weight_decay=0.1, fused=True, **given),  # type: ignore[arg-type]
    )
    found = after_steps(ours, built("sgd", ours, **given))
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_without_decay_on_scales_only_they_go_as_without_any() -> None:
    assert_scales_alone_go_without_decay("sgd")
