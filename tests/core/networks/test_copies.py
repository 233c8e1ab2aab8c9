import types
from collections.abc import Callable

import pytest
import torch
from tests.pruning.kinds import IMAGES, Net, check_exact, gap, lively, pruned
from torch import Tensor, nn

import netslim
from netslim.core.errors import UsageError
from netslim.core.networks.copies import copied, held_along


class Lambda(Net):
    """A block is a lambda that holds the network."""

    def __init__(self) -> None:
        super().__init__()
        self.block = lambda x: torch.relu(self.bn(self.conv(x)))

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.block(x))


class InATable(Net):
    """A function that holds layers, one of them as a default, in a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        norm = self.bn

        def block(x: Tensor, conv: nn.Module = self.conv) -> Tensor:
            return torch.relu(norm(conv(x)))

        self.table = {"blocks": [block]}

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.table["blocks"][0](x))


class Hooked(Net):
    """A hook keeps what the network gives later."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, Tensor] = {}
        self.bn.register_forward_hook(lambda _module, _given, out: self.seen.update(bn=out))

    def forward(self, x: Tensor) -> Tensor:
        self.bn(self.conv(x))
        return self.out(torch.relu(self.seen["bn"]))


def with_forward() -> nn.Module:
    model = Net()

    def forward(x: Tensor) -> Tensor:
        return model.out(torch.relu(model.bn(model.conv(x))))

    model.forward = forward  # type: ignore[method-assign]
    return model


def with_method() -> nn.Module:
    model = Net()
    conv = model.conv
    model.forward = types.MethodType(lambda self, x: self.out(torch.relu(self.bn(conv(x)))), model)  # type: ignore[method-assign]
    return model


@pytest.mark.parametrize("make", [Lambda, InATable, Hooked, with_forward, with_method])
def test_functions_that_hold_a_network_hold_the_copy_in_its_copies(make: Callable[[], nn.Module], tmp_path) -> None:
    small = check_exact(make())
    small(IMAGES).sum().backward()
    used = {name for name, own in small.named_parameters() if own.grad is not None}
    assert used == {f"{layer}.{kind}" for layer in ("conv", "bn", "out") for kind in ("weight", "bias")}
    netslim.save(tmp_path / "small.pth.tar", small)
    again = netslim.load(tmp_path / "small.pth.tar", model=lively(make(), seed=3))
    assert gap(small, again, IMAGES) == 0


def test_the_original_keeps_its_functions_and_what_they_wrote() -> None:
    model = lively(Hooked())
    model(IMAGES)
    before, hooks = model.seen["bn"], [*model.bn._forward_hooks.values()]
    pruned(model)
    assert model.seen["bn"] is before
    assert [*model.bn._forward_hooks.values()] == hooks


def test_functions_that_hold_no_part_of_the_network_stay_themselves() -> None:
    def made(factor: int) -> Callable[[Tensor], Tensor]:
        return lambda x: x * factor

    model = Net()
    model.double, model.pool = made(2), torch.nn.functional.max_pool2d  # type: ignore[assignment]
    twin = copied(model)
    assert twin.double is model.double
    assert twin.pool is model.pool


def test_a_function_that_is_not_filled_yet_and_one_that_holds_itself_are_copied() -> None:
    model = Net()

    def again(x: Tensor, times: int = 2) -> Tensor:
        return again(model.out(x), times - 1) if times else late  # noqa: F821

    model.again = again  # type: ignore[assignment]
    twin = copied(model)
    cells = dict(zip(twin.again.__code__.co_freevars, twin.again.__closure__, strict=True))
    assert cells["again"].cell_contents is twin.again
    assert cells["model"].cell_contents is twin
    del again
    if False:
        late = None  # what the function speaks of has no value


class Keeping(Net):
    """Keeps what it has computed, in an attribute and in a container."""

    def forward(self, x: Tensor) -> Tensor:
        self.map = torch.relu(self.bn(self.conv(x)))
        self.kept = {"maps": [self.map]}
        return self.out(self.map)


def test_what_a_network_computed_and_keeps_is_copied_without_its_history() -> None:
    model = Keeping()
    model(IMAGES)
    assert model.map.requires_grad
    twin = copied(model)
    assert twin.map is twin.kept["maps"][0]
    assert not twin.map.requires_grad
    assert torch.equal(twin.map, model.map)
    check_exact(model)


def test_of_a_part_alone_functions_of_the_whole_stay_the_wholes() -> None:
    model = Lambda()
    with held_along([model.conv], memo := {}):
        pass
    assert memo == {}


def test_a_function_that_finds_the_network_by_a_global_name_is_refused() -> None:
    names: dict[str, object] = {"model": Net()}
    exec("def forward(x): return (lambda y: model.out(y))(model.conv(x))", names)  # noqa: S102
    names["model"].forward = names["forward"]  # type: ignore[attr-defined]
    refusal = (
        r"^<string>:1: this function finds the network under the global name 'model', and would work on it even in a "
        r"copy; give it the network as an argument, as types.MethodType\(function, model\) does$"
    )
    with pytest.raises(UsageError, match=refusal):
        netslim.plan(names["model"], IMAGES, percent=0.4)  # type: ignore[arg-type]


@torch.jit.script
def mish(x: Tensor) -> Tensor:
    return x * torch.tanh(torch.nn.functional.softplus(x))


def test_a_function_of_torchscript_is_shared() -> None:
    model = Net(maps=lambda s, y: s.acts["mish"](y))
    model.acts = {"mish": mish}
    assert copied(model).acts["mish"] is mish
    check_exact(model)
