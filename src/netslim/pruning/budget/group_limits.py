"""What each group must keep, and the multiples that its width has to be of."""

import math
from collections import defaultdict
from collections.abc import Sequence

from netslim.dependency.groups import BoundGroup
from netslim.pruning.budget.solve import Limits


def limits_of(every: Sequence[BoundGroup], groups: Sequence[BoundGroup], min_channels: int, round_to: int) -> Limits:
    """Floors, and multiples in channels: one channel of a group may be several of a layer.

    A group may be emptied if all groups of its branch may.
    """
    numbers = {own.group.name: number for number, own in enumerate(groups)}
    branches = defaultdict(list)
    for group in (own.group for own in every):
        if group.branch is not None:
            branches[group.branch].append(numbers.get(group.name, -1))
    removable = [own for own in branches.values() if -1 not in own]
    least = [max(1, min_channels)] * len(groups)
    for number in (number for own in removable for number in own):
        least[number] = min_channels
    widths = [len(own.channels) for own in groups]
    entries = [own.slices[0].positions.shape[1] for own in groups]
    return Limits(
        floors=[min(floor, width) for floor, width in zip(least, widths, strict=True)],
        multiples=[round_to // math.gcd(round_to, entry) for entry in entries],
        branches=removable,
    )
