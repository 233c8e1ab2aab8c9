"""Which networks' code looks at the mode."""

import pytest
import torch.nn.functional as F
from torch import Tensor, nn

from netslim.dependency.training_code import asks_for_mode


class HandsOn(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x, p=0.5, training=self.training) + F.dropout(x, 0.5, self.training)


class Branches(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x, training=self.training) if self.training else x[:, :2]


class HandsToItsOwn(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return dropout(x, training=self.training)


def dropout(x: Tensor, *, training: bool) -> Tensor:
    return x[:, :2] if training else x


class InAnInnerFunction(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return (lambda: x if self.training else x[:, :2])()


@pytest.mark.parametrize(
    ("kind", "asks"),
    [(nn.Dropout, False), (HandsOn, False), (Branches, True), (HandsToItsOwn, True), (InAnInnerFunction, True)],
)
def test_who_asks_for_the_mode(kind: type[nn.Module], asks: bool) -> None:
    assert asks_for_mode(nn.Sequential(kind())) is asks


def test_without_its_source_code_that_names_the_mode_counts() -> None:
    names: dict[str, type[nn.Module]] = {}
    body = "class Typed(nn.Module):\n    def forward(self, x): return F.dropout(x, training=self.training)"
    exec(body, {"nn": nn, "F": F, "__name__": "typed"}, names)  # noqa: S102
    assert asks_for_mode(names["Typed"]())
