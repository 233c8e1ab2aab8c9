"""Places of blocks in the figure of a transfer."""

from itertools import pairwise

import pytest
from block_links import LINKS, UNUSED, block
from hypothesis import given
from hypothesis import strategies as st

from netslim.report.figures.mapping_layout import heights, source_order, stage_colours
from netslim.report.figures.style import SERIES


def test_source_blocks_keep_to_their_stages() -> None:
    assert source_order(LINKS, UNUSED) == [
        "stem",
        *("layer1.0", "layer1.1"),
        *("layer2.0", "layer2.5", "layer2.1"),
        *("layer3.0", "head"),
    ]


def test_a_stage_has_one_colour_on_both_sides() -> None:
    source, target = stage_colours(source_order(LINKS, UNUSED)), stage_colours([link.target for link in LINKS])
    assert [source[stage] for stage in ("layer1", "layer2", "layer3")] == list(SERIES[:3])
    assert [target[stage] for stage in ("layer1", "layer2")] == list(SERIES[:2])
    assert source["stem"] == target["head"] not in SERIES
    assert stage_colours(["stages.0.0", "stages.1.0"])["stages.1"] == SERIES[1]


def test_links_run_level() -> None:
    """A source block is half-way between the blocks it fills."""
    source, target = heights(source_order(LINKS, UNUSED), LINKS, 0.2)
    assert source["stem"] == target["stem"]
    assert source["layer1.0"] == pytest.approx(target["layer1.1"])
    assert target["layer1.2"] - target["layer1.1"] == pytest.approx(0.2)
    assert source["layer2.0"] == target["layer2.0"]
    assert source["layer2.5"] == target["layer2.1"]


@given(
    st.lists(st.tuples(st.integers(1, 3), st.one_of(st.none(), st.integers(0, 9))), max_size=30),
    st.sets(st.integers(0, 9)),
)
def test_blocks_never_overlap(origins: list[tuple[int, int | None]], unused: set[int]) -> None:
    """Whatever goes where, also out of order: every block has its place, a pitch or more below the last."""
    links = [
        block(f"layer{index // 4}.{index}", None if origin is None else f"layer{stage}.{origin}")
        for index, (stage, origin) in enumerate(origins)
    ]
    sources = source_order(links, [f"layer2.{index}" for index in unused])
    source, target = heights(sources, links, 0.2)
    assert list(source) == sources
    assert list(target) == [link.target for link in links]
    for column in ([0.75, *source.values()], [0.75, *target.values()]):
        assert all(below - above > 0.199 for above, below in pairwise(column))
