"""Cuts of several groups are those made entry by entry."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from netslim.core.protocols import Slice
from netslim.dependency.slicing import keeps_of


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=6), min_size=1, max_size=3), st.integers(1, 2))
def test_cuts_are_those_made_entry_by_entry(stays: list[list[bool]], each: int) -> None:
    """Groups one after the other in one tensor, and each in one of its own."""
    slices, expected, sizes = [], [], {("all", 1): 0}
    for number, group in enumerate(stays):
        own, first = torch.arange(len(group) * each).view(-1, each), sizes["all", 1]
        places = (f"weight{number}", 0), (f"bias{number}", 0)
        slices.append([Slice(tensor=tensor, dim=dim, positions=own) for tensor, dim in places])
        slices[-1].append(Slice(tensor="all", dim=1, positions=own + first))
        expected += [first + entry for entry in range(own.numel()) if group[entry // each]]
        sizes |= {**dict.fromkeys(places, own.numel()), ("all", 1): first + own.numel()}
    kept = [[channel for channel, stay in enumerate(group) if stay] for group in stays]
    keeps = keeps_of(slices, kept, sizes)
    assert keeps.get(("all", 1), torch.arange(sizes["all", 1])).tolist() == expected
    for number, (group, keep) in enumerate(zip(stays, kept, strict=True)):
        entries = [entry for channel in keep for entry in range(channel * each, (channel + 1) * each)]
        for name in ("weight", "bias"):
            place = (f"{name}{number}", 0)
            assert (place in keeps) is (not all(group))
            assert place not in keeps or keeps[place].tolist() == entries
