"""What the tensors of the pre-activation ResNet do, in words for the report."""

_ROLES = {
    "bn1": "stream norm",
    "select": "selection",
    "conv1": "reduce 1x1",
    "bn2": "inner norm",
    "conv2": "spatial 3x3",
    "bn3": "inner norm",
    "conv3": "expand 1x1",
    "downsample": "projection",
}
INNER = (_ROLES["conv1"], _ROLES["conv2"])  # what only a BatchNorm of the same block sees
_ENDS = {"conv1": "stem", "bn": "stream norm", "select": "selection", "fc": "head"}


def role_of(key: str) -> str:
    """The role of a tensor."""
    parts = key.split(".")
    return _ENDS.get(parts[0]) or _ROLES[parts[2]]


def why_new(key: str) -> str:
    """Why a tensor for which nothing was found starts as it does."""
    if key.startswith("fc."):
        return "classes of its own: starts anew"
    if key.endswith("indexes"):
        return "channel selection, all ones until pruned"
    if key.endswith("num_batches_tracked"):
        return "a counter"
    return "nothing in the source for it: keeps its initial values"
