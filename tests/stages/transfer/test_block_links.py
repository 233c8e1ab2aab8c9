"""From statuses of keys to links between blocks."""

from netslim.report.figures.mapping import BlockLink
from netslim.stages.transfer.block_links import block_links
from netslim.transfers import KeyStatus


def mapped(key: str, source: str, operation: str = "sliced") -> KeyStatus:
    return KeyStatus(key=key, status="mapped", operation=operation, reason="because", source_key=source)


def left(key: str, source: str | None = None) -> KeyStatus:
    return KeyStatus(
        key=key, status="skipped" if source else "unmapped", operation="new", reason="because", source_key=source
    )


SOURCE = ["conv1.weight", "layer1.0.conv1.weight", "layer1.0.bn1.running_mean", "layer1.1.conv1.weight", "fc.weight"]


def test_stem_blocks_and_head() -> None:
    statuses = [
        mapped("conv1.weight", "conv1.weight", "resampled"),
        mapped("layer1.0.conv1.weight", "layer1.0.conv1.weight"),
        mapped("layer1.0.bn1.weight", "layer1.0.bn1.weight", "folded"),
        mapped("layer1.0.bn1.running_mean", "layer1.0.bn1.running_mean", "copied"),
        left("layer1.0.conv2.weight"),
        left("bn.weight"),
        left("fc.weight", "fc.weight"),
    ]
    sizes = {
        "conv1.weight": 9,
        "layer1.0.conv1.weight": 6,
        "layer1.0.bn1.weight": 2,
        "layer1.0.conv2.weight": 8,
        "bn.weight": 1,
        "fc.weight": 5,
    }
    links, unused = block_links(statuses, sizes, SOURCE)
    assert links == [
        BlockLink(target="stem", source="stem", operation="resampled", scale=1.0, covered=1.0),
        BlockLink(target="layer1.0", source="layer1.0", operation="sliced, folded", scale=1.0, covered=0.5),
        BlockLink(target="head", source=None, operation="new", scale=1.0, covered=0.0),
    ]
    assert unused == ["layer1.1", "head"]


def test_a_block_that_several_share() -> None:
    keys = [f"layer1.{number}.conv1.weight" for number in range(4)]
    origins = ["layer1.0.conv1.weight", *["layer1.1.conv1.weight"] * 3]
    links, unused = block_links(
        [mapped(*pair) for pair in zip(keys, origins, strict=True)], dict.fromkeys(keys, 4), SOURCE
    )
    assert [(link.source, link.scale) for link in links] == [("layer1.0", 1.0), *[("layer1.1", 1 / 3)] * 3]
    assert unused == ["stem", "head"]


def test_the_block_that_gives_most_counts() -> None:
    statuses = [
        mapped("layer1.0.conv1.weight", "layer1.0.conv1.weight"),
        mapped("layer1.0.conv2.weight", "layer1.1.conv1.weight"),
    ]
    links, _ = block_links(statuses, {"layer1.0.conv1.weight": 1, "layer1.0.conv2.weight": 2}, SOURCE)
    assert [link.source for link in links] == ["layer1.1"]


def test_the_names_of_resnetv2() -> None:
    keys = ["stem.conv.weight", "stages.0.blocks.0.conv1.weight", "stages.1.blocks.10.conv1.weight", "norm.weight"]
    links, unused = block_links([mapped(key, key) for key in keys], dict.fromkeys(keys, 1), keys)
    assert [link.target for link in links] == ["stem", "stages.0.blocks.0", "stages.1.blocks.10", "head"]
    assert [link.source for link in links] == [link.target for link in links]
    assert unused == []
