import torch
from hypothesis import given
from hypothesis import strategies as st

from netslim.data.counter_rng import keyed_hash, logical_shift, splitmix64, uniform

MASK = (1 << 64) - 1


def reference(state: int, index: int) -> int:
    """SplitMix64 in Python's unbounded integers."""
    z = (state + (index + 1) * 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def test_published_vectors() -> None:
    found = [int(number) & MASK for number in splitmix64(1234567, torch.arange(5))]
    assert found == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


@given(st.integers(0, MASK), st.integers(0, 2**40))
def test_wrapping_int64_arithmetic_is_the_unsigned_one(state: int, index: int) -> None:
    assert int(splitmix64(state, torch.tensor([index]))) & MASK == reference(state, index)


@given(st.integers(-(2**63), 2**63 - 1), st.integers(1, 63))
def test_logical_shift_moves_zeros_in(bits: int, places: int) -> None:
    assert int(logical_shift(torch.tensor([bits]), places)) == (bits & MASK) >> places


def test_a_number_depends_on_key_and_index_alone() -> None:
    assert torch.equal(keyed_hash(100, 7, 3)[:10], keyed_hash(10, 7, 3))
    keys = [(7, 3), (7, 4), (8, 3), (3, 7), (-7, 3), (7, 3, 0)]
    assert len({int(keyed_hash(1, *key)) for key in keys}) == len(keys)


def test_known_values_stay_the_same_for_ever() -> None:
    """Saved runs are resumed by later versions: these numbers must not change."""
    assert int(keyed_hash(1, 5, 2)) & MASK == reference(_folded(5, 2), 0)


def _folded(*key: int) -> int:
    state = 0
    for part in key:
        state = reference(state ^ part, 0)
    return state


def test_uniform_covers_its_range_evenly() -> None:
    counts = torch.bincount(uniform(keyed_hash(90_000, 1), 9, skip=24), minlength=9)
    assert len(counts) == 9
    assert (counts - 10_000).abs().max() < 400  # four standard deviations are 377
