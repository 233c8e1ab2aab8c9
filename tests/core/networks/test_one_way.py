"""Products in steps that no size and no stride changes: the same numbers, and the same steps at a width of one."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from netslim.core.networks.one_way import in_one_way

SIZES = {"b": 2, "h": 3, "i": 4, "j": 5, "d": 6, "k": 7}
EQUATIONS = [
    *("bhid,bhjd->bhij", "bhid,jd->bhij", "bi,bj", "bi,ij", "bhid->bdh", "bi,bi->b", "bi,bi->", "i,i", "ij,jk"),
    *("bhd,jd,hk->bjk", "...id,...jd->...ij", "b...d,dk->b...k", "bi,hj->bihj", "bhid, hd -> bhid"),
]


class Steps(TorchDispatchMode):
    """Notes the operations that torch divides a function into."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def drawn(letters: str, sizes: dict[str, int], generator: torch.Generator) -> Tensor:
    shape = [sizes.get(letter, 3) for letter in letters.strip().replace("...", "^^")]
    return torch.randn(shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("equation", EQUATIONS)
def test_einsum_gives_the_same_numbers(equation: str) -> None:
    generator = torch.Generator().manual_seed(0)
    operands = [drawn(letters, SIZES, generator) for letters in equation.split("->")[0].split(",")]
    torch.testing.assert_close(
        in_one_way(torch.einsum, (equation, *operands), {}), torch.einsum(equation, *operands), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize(
    ("equation", "shapes"), [("ii->i", [(3, 3)]), ("ij,jk->ik", [(2, 1), (3, 4)]), ("ij,jk,", [(2, 3), (3, 4)])]
)
def test_letters_that_mean_more_are_left_to_torch(equation: str, shapes: list[tuple[int, ...]]) -> None:
    operands = [torch.zeros(shape) for shape in shapes]
    assert in_one_way(torch.einsum, (equation, *operands), {}) is NotImplemented


LAYERS: dict[str, tuple[Callable[..., Any], Callable[[int], tuple[Tensor, ...]]]] = {
    "linear": (F.linear, lambda n: (torch.randn(2, n, 3, 3).permute(0, 2, 3, 1), torch.randn(5, n), torch.ones(5))),
    "linear without bias": (F.linear, lambda n: (torch.randn(2, n, 3).transpose(1, 2), torch.randn(5, n))),
    "matmul": (torch.matmul, lambda n: (torch.randn(2, n, 3, 3).permute(0, 2, 3, 1), torch.randn(n, 5))),
    "matmul from the left": (torch.matmul, lambda n: (torch.randn(5, n), torch.randn(2, 3, 4, n).transpose(2, 3))),
    "@": (Tensor.__matmul__, lambda n: (torch.randn(2, n, 3).transpose(1, 2), torch.randn(n, 5))),
    "einsum": (torch.einsum, lambda n: ("bhid,bhjd->bhij", torch.randn(2, 3, 4, n), torch.randn(2, 3, 5, n))),  # type: ignore[dict-item]
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_width_of_one_takes_the_steps_of_any_other(name: str) -> None:
    torch.manual_seed(0)
    func, arguments = LAYERS[name]
    steps = []
    for width in (1, 4):
        given = arguments(width)
        with Steps() as mode:
            found = in_one_way(func, given, {})
        torch.testing.assert_close(found, func(*given))
        steps.append([step for step in mode.names if step not in ("clone", "view", "_unsafe_view")])  # a reshape is any
    assert steps[0] == steps[1]


def test_all_other_functions_are_left_to_torch() -> None:
    assert in_one_way(F.relu, (torch.zeros(2),), {}) is NotImplemented
    assert in_one_way(F.linear, (torch.zeros(2, 3), torch.zeros(4, 3)), {}) is NotImplemented
    assert in_one_way(torch.matmul, (torch.zeros(2, 3), torch.zeros(3, 4)), {}) is NotImplemented
