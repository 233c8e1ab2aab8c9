"""Rows of a weight that are one channel: part of what a plan says."""

from typing import NamedTuple


class Tie(NamedTuple):
    """Which rows of a weight go together.

    Attributes:
        dim: the weight's dimension.
        pieces: its rows are so many pieces, each with a share of every channel, as of heads.
        unit: in a piece, so many rows side by side are a channel's, as of groups that go as a whole.
    """

    dim: int
    pieces: int
    unit: int
