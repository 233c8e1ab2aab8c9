"""A transfer's report, key by key, as links between the blocks of two networks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from netslim.report.figures.mapping import BlockLink
from netslim.transfers.strategy import KeyStatus

_BLOCK = re.compile(r"(layer\d+|stages\.\d+\.blocks)\.\d+(?=\.)")


def block_links(
    statuses: Iterable[KeyStatus], sizes: Mapping[str, int], source_keys: Iterable[str]
) -> tuple[list[BlockLink], list[str]]:
    """One link per block of the target, from the source's block that gives it most; and the source's blocks without.

    Args:
        statuses: of the target's keys, in network order.
        sizes: elements of the target's learnable parameters by key.
        source_keys: the source's state-dict keys, in network order.
    """
    home = _homes(source_keys)
    statuses = list(statuses)
    blocks: dict[str, list[KeyStatus]] = {}
    for entry, block in zip(statuses, _homes(entry.key for entry in statuses).values(), strict=True):
        blocks.setdefault(block, []).append(entry)
    origins = {block: _origin(members, sizes, home) for block, members in blocks.items()}
    copies = Counter(origins.values())
    links = [_link(block, members, sizes, origins[block], copies[origins[block]]) for block, members in blocks.items()]
    return links, [block for block in dict.fromkeys(home.values()) if block not in copies]


def _homes(keys: Iterable[str]) -> dict[str, str]:
    """Key -> its block; "stem" before the first block and "head" after."""
    homes: dict[str, str] = {}
    other = "stem"
    for key in keys:
        if found := _BLOCK.match(key):
            other = "head"
        homes[key] = found[0] if found else other
    return homes


def _origin(members: list[KeyStatus], sizes: Mapping[str, int], home: Mapping[str, str]) -> str | None:
    """The source's block that most elements come from."""
    elements: Counter[str] = Counter()
    for entry in members:
        origin = home.get(entry.source_key or "")
        if entry.status == "mapped" and origin is not None:
            elements[origin] += sizes.get(entry.key, 0)
    return elements.most_common(1)[0][0] if elements else None


def _link(block: str, members: list[KeyStatus], sizes: Mapping[str, int], origin: str | None, copies: int) -> BlockLink:
    operations = [f.operation for f in members if f.status == "mapped" and f.key in sizes]
    total = sum(sizes.get(entry.key, 0) for entry in members)
    covered = sum(sizes.get(entry.key, 0) for entry in members if entry.status == "mapped")
    return BlockLink(
        target=block,
        source=origin,
        operation=", ".join(dict.fromkeys(operations)) or "new",
        scale=1 / copies if origin else 1.0,
        covered=covered / total if total else 0.0,
    )
