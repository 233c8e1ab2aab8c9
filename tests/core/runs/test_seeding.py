import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from netslim.core.runs.seeding import derive_seed, drawing_alike, seed_devices_in_use, seed_torch

PARTS = st.lists(st.integers() | st.text("abc", max_size=3), min_size=1, max_size=4)


@pytest.mark.parametrize(("part", "sha256"), [("", "e3b0c44298fc1c14"), ("abc", "ba7816bf8f01cfea")])
def test_the_published_digests_of_sha256(part: str, sha256: str) -> None:
    assert derive_seed(part) == int.from_bytes(bytes.fromhex(sha256), "little") >> 1


@given(PARTS, PARTS)
def test_the_same_parts_and_only_they_give_the_same_seed(one: list[int | str], other: list[int | str]) -> None:
    assert 0 <= derive_seed(*one) < 2**63
    assert (derive_seed(*one) == derive_seed(*other)) == (one == other)


def test_parts_are_not_run_together() -> None:
    assert derive_seed(1, 23) != derive_seed(12, 3)
    assert derive_seed(1, 2) != derive_seed(2, 1)


def test_seed_torch_fixes_what_follows() -> None:
    state = torch.get_rng_state()
    try:
        draws = []
        for parts in ((1, 5), (1, 6), (1, 5)):
            seed_torch(*parts)
            draws.append(torch.rand(4))
        assert torch.equal(draws[0], draws[2])
        assert not torch.equal(draws[0], draws[1])
    finally:
        torch.set_rng_state(state)


def test_devices_in_use_draw_as_after_torchs_own_function() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(7)
        expected = torch.rand(4)
        seed_devices_in_use(7)
        assert torch.equal(torch.rand(4), expected)


def test_what_is_drawn_is_alike_and_leaves_no_trace_whichever_generator_it_is_of() -> None:
    def draws() -> list[float]:
        return [float(torch.rand(())), float(np.random.rand()), random.random()]  # noqa: S311

    def alike() -> list[float]:
        with drawing_alike():
            return draws()

    with torch.random.fork_rng():
        first = alike()
        states = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
        assert alike() == first
        assert torch.equal(states[0], torch.get_rng_state())
        assert states[1:] == (np.random.get_state()[1].tolist(), random.getstate())
        with pytest.raises(ZeroDivisionError), drawing_alike():
            _ = draws()[0] / 0
        assert states[1:] == (np.random.get_state()[1].tolist(), random.getstate())
        assert alike() == first != draws()
