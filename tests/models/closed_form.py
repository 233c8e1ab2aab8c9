"""The pre-activation ResNet as arithmetic: names, shapes and cost, without building anything."""

from collections.abc import Iterator

STATISTICS = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def blocks(depth: int, size: int = 32) -> Iterator[tuple[str, int, int, int, int]]:
    """Name, width of the stream, planes, input size and output size of every block, for square images."""
    stream = 16
    for stage, planes in enumerate((16, 32, 64), start=1):
        for block in range((depth - 2) // 9):
            out = (size + 1) // 2 if stage > 1 and block == 0 else size
            yield f"layer{stage}.{block}", stream, planes, size, out
            stream, size = 4 * planes, out


def dense_cfg(depth: int) -> list[int]:
    return [width for _, stream, planes, *_ in blocks(depth) for width in (stream, planes, planes)] + [256]


def cost(depth: int, *, classes: int = 10, channels: int = 3, size: int = 32, cfg: list[int] | None = None) -> tuple:
    """(learnable parameters, MACs of one image)."""
    cfg = cfg or dense_cfg(depth)
    weights = channels * 16 * 9
    params, macs = weights, weights * size**2
    for index, (name, stream, planes, before, after) in enumerate(blocks(depth, size)):
        kept, first, second = cfg[3 * index : 3 * index + 3]
        layers = [(kept * first, before), (first * second * 9, after), (second * 4 * planes, after)]
        if name.endswith(".0"):
            layers.append((stream * 4 * planes, after))
        params += sum(weights for weights, _ in layers) + 2 * (stream + first + second)
        macs += sum(weights * side**2 for weights, side in layers)
    return params + 2 * 256 + (cfg[-1] + 1) * classes, macs + cfg[-1] * classes


def keys(depth: int) -> list[str]:
    """The state dict's keys, in order."""
    names = ["conv1.weight"]
    for block, *_ in blocks(depth):
        names += [f"{block}.bn1.{part}" for part in STATISTICS] + [f"{block}.select.indexes", f"{block}.conv1.weight"]
        names += [f"{block}.bn2.{part}" for part in STATISTICS] + [f"{block}.conv2.weight"]
        names += [f"{block}.bn3.{part}" for part in STATISTICS] + [f"{block}.conv3.weight"]
        names += [f"{block}.downsample.0.weight"] if block.endswith(".0") else []
    return [*names, *(f"bn.{part}" for part in STATISTICS), "select.indexes", "fc.weight", "fc.bias"]
