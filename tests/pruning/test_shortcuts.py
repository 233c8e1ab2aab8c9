"""What saves time gives what the plain way gives: groups, cuts, shapes and counts."""

from collections import Counter, defaultdict

import pytest
import structures
import torch
from hypothesis import given
from hypothesis import strategies as st
from structures import SHAPE
from torch import Tensor, nn

from netslim.core.networks.example import Inputs
from netslim.core.protocols import Slice
from netslim.cost import count_products
from netslim.dependency.channel_sets import ChannelSets
from netslim.dependency.find_groups import _alike, find_groups
from netslim.dependency.meta_ops import META, MetaOps
from netslim.dependency.slicing import keeps_of
from netslim.dependency.trace import Place, Trace

ATEN = torch.ops.aten
Lines = list[list[int]]


def one_by_one(trace: Trace) -> list[dict[Place, list[list[int]]]]:
    """`_alike`, channel by channel."""
    frozen = trace.sets.frozen()
    channels: dict[int, list[tuple[Place, int]]] = defaultdict(list)
    for place, labels in trace.dims.items():
        for position, root in enumerate(trace.sets.roots(labels).tolist()):
            if root not in frozen:
                channels[root].append((place, position))
    groups: dict[tuple[tuple[Place, int], ...], dict[Place, Lines]] = {}
    for entries in channels.values():
        held_by = tuple(Counter(place for place, _ in entries).items())
        group = groups.setdefault(held_by, {place: [] for place, _ in held_by})
        for place in group:
            group[place].append([position for own, position in entries if own == place])
    return list(groups.values())


LABEL = st.integers(0, 15)


@given(
    st.lists(st.lists(LABEL, min_size=1, max_size=8), max_size=6),
    st.sets(LABEL),
    st.lists(st.tuples(LABEL, LABEL), max_size=4),
)
def test_groups_are_those_found_channel_by_channel(
    lines: Lines, frozen: set[int], united: list[tuple[int, int]]
) -> None:
    trace = Trace(sets=ChannelSets())
    trace.sets.fresh(16)
    for first, second in united:
        trace.sets.unite(torch.tensor([first]), torch.tensor([second]))
    trace.sets.freeze(torch.tensor(sorted(frozen), dtype=torch.int64), "stays")
    trace.dims.update({(f"layer{number // 2}", number % 2): torch.tensor(line) for number, line in enumerate(lines)})
    found = [[(place, positions.tolist()) for place, positions in group] for group in _alike(trace)]
    assert found == [list(group.items()) for group in one_by_one(trace)]


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


def shape(*size: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(size, device=META, dtype=dtype)


STEP = (None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1)
FILTER, VECTOR = shape(5, 3, 3, 3), shape(4)
WHOLE = shape(4, dtype=torch.int64)
PIXELS = shape(2, 3, 8, 8).to(memory_format=torch.channels_last)
TURNED = shape(2, 4, 3, 3).transpose(2, 3)

OPERATIONS = {
    "convolution": (ATEN.convolution.default, (shape(2, 3, 8, 8), FILTER, *STEP)),
    "of pixels in a row": (ATEN.convolution.default, (PIXELS, FILTER, *STEP)),
    "with a whole number": (ATEN.add.Tensor, (WHOLE, 1)),
    "with a fraction": (ATEN.add.Tensor, (WHOLE, 1.0)),
    "with true": (ATEN.add.Tensor, (WHOLE, True)),
    "of every other": (ATEN.relu.default, (shape(4, 6)[:, ::2],)),
    "several": (ATEN.native_layer_norm.default, (shape(2, 7, 4), [4], VECTOR, VECTOR, 1e-5)),
    "joined": (ATEN.cat.default, ([shape(2, 3), shape(2, 4)], 1)),
    "a view": (ATEN.view.default, (shape(2, 6), [3, 4])),
    "in place": (ATEN.add_.Tensor, (shape(2, 6), shape(6))),
    "a list": (ATEN.split.Tensor, (shape(2, 6), 4, 1)),
    "in double precision": (ATEN.relu.default, (shape(4, 6, dtype=torch.float64),)),
    "normalised": (ATEN.native_batch_norm.default, (shape(2, 4, 3, 3), *[VECTOR] * 4, False, 0.1, 1e-5)),
    "turned": (ATEN.native_batch_norm.default, (TURNED, *[VECTOR] * 4, False, 0.1, 1e-5)),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_remembered_shapes_are_those_that_torch_works_out(name: str) -> None:
    func, args = OPERATIONS[name]
    expected = func(*args)
    for _ in range(2):
        found = MetaOps()(func, args, {})
        assert isinstance(found, Tensor) is isinstance(expected, Tensor)
        pairs = [(found, expected)] if isinstance(found, Tensor) else list(zip(found, expected, strict=True))
        for ours, theirs in pairs[:1] if "norm" in func.__name__ else pairs:  # statistics are not asked for
            assert (ours.shape, ours.stride(), ours.dtype) == (theirs.shape, theirs.stride(), theirs.dtype)
            assert ours.device == META
    if name == "in place":
        assert found is args[0]


def test_a_remembered_shape_is_not_that_of_another_default_type() -> None:
    halved = (ATEN.true_divide.Scalar, (shape(4, dtype=torch.int64), 2), {})
    assert MetaOps()(*halved).dtype == torch.float32
    torch.set_default_dtype(torch.float64)
    try:
        assert MetaOps()(*halved).dtype == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("build", [structures.Residual, structures.Concatenated])
def test_products_are_counted_while_the_groups_are_derived(build: type[nn.Module]) -> None:
    inputs = Inputs.of(torch.zeros(SHAPE))
    found = find_groups(build(), inputs)
    counted = count_products(build(), found.runs[0].inputs.map(lambda spec: torch.zeros(spec.shape)))
    assert found.uses == counted
    assert found.uses.total > 0
