"""A target of two parameters, and what may become of them."""

from torch import nn

from netslim.core.protocols import PrunableModel
from netslim.transfers import KeyStatus
from netslim.transfers.strategy import Status


class Tiny(PrunableModel):
    """Two parameters: 6 and 3 elements."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(2, 3)


def entry(key: str, value: Status) -> KeyStatus:
    return KeyStatus(key=key, status=value, operation="copied" if value == "mapped" else "new", reason="because")
