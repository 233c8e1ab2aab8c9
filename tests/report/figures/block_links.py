"""Links between two networks, of every kind."""

from netslim.report.figures.mapping_layout import BlockLink


def block(target: str, source: str | None, scale: float = 1.0, covered: float = 0.5) -> BlockLink:
    operation = "new" if source is None else "sliced, folded"
    return BlockLink(target=target, source=source, operation=operation, scale=scale, covered=covered)


LINKS = [
    block("stem", "stem"),
    *(block(f"layer1.{index}", "layer1.0", scale=1 / 3) for index in range(3)),
    block("layer2.0", "layer2.0"),
    block("layer2.1", "layer2.5", covered=0.973),
    block("layer2.2", None, covered=0.0),
    block("head", None, covered=0.0),
]
UNUSED = ["layer1.1", "layer2.1", "layer3.0", "head"]
