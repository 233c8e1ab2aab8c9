"""Each of these fails if torch changes what netslim takes of its insides: `torch_internals.py` says what for."""

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules._functions import SyncBatchNorm
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.instancenorm import _InstanceNorm
from torch.utils.flop_counter import flop_registry

from fresh_python import FreshPython
from netslim.core.networks import torch_internals
from netslim.core.networks.torch_internals import (
    COMPILED_CALL,
    PlainAdam,
    PlainAdamW,
    PlainDispatchMode,
    PlainSGD,
    become_,
    calls_hooks,
    flops_of_shapes,
    frames_until,
    grad_scale_in,
    has_bf16,
    module_in,
    overflow_in,
    synced_batch_norm,
    tree_leaves,
    tree_map,
)


class Operations(PlainDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def test_what_compile_leaves_is_of_no_copy() -> None:
    layer = nn.Linear(2, 2)
    layer.compile(backend="eager")
    assert COMPILED_CALL in vars(layer)
    assert COMPILED_CALL not in layer.__getstate__()


def test_a_formula_for_flops_takes_shapes() -> None:
    x, weight = torch.zeros(2, 3, 8, 8), torch.zeros(5, 3, 3, 3)
    given = (None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1)
    formula = flop_registry[torch.ops.aten.convolution]
    found = flops_of_shapes(formula)(x.shape, weight.shape, *given, out_shape=torch.Size([2, 5, 6, 6]))
    assert found == formula(x, weight, *given, out_val=torch.zeros(2, 5, 6, 6)) == 2 * 2 * 5 * 36 * 27


@pytest.mark.parametrize("options", [{"momentum": 0.9, "weight_decay": 0.1}, {"momentum": 0.9, "nesterov": True}])
@pytest.mark.parametrize("fused", [True, False])
def test_plain_sgd_takes_the_steps_of_torchs(options: dict[str, Any], fused: bool) -> None:
    ends = []
    for kind in (PlainSGD, torch.optim.SGD):
        weight = nn.Parameter(torch.linspace(-1, 1, 5))
        optimizer = kind([weight], lr=0.1, fused=fused, **options)
        for _ in range(3):
            optimizer.zero_grad()
            weight.square().sum().backward()
            optimizer.step()
        ends.append(weight.detach())
    assert torch.equal(*ends)


@pytest.mark.parametrize(
    ("plain", "kind"),
    [(PlainSGD, torch.optim.SGD), (PlainAdam, torch.optim.Adam), (PlainAdamW, torch.optim.AdamW)],
)
def test_a_plain_optimizer_is_torchs_own_code_without_the_wrapper(plain: type, kind: type) -> None:
    for name in ("add_param_group", "zero_grad"):
        assert not hasattr(getattr(plain, name), "__wrapped__")
        assert hasattr(getattr(kind, name), "__wrapped__"), f"torch does not wrap {name} any more"


def test_neither_steps_nor_modes_import_the_compiler(fresh_python: FreshPython, tmp_path: Path) -> None:
    script = """
import sys, torch
from netslim.core.networks.torch_internals import PlainAdam, PlainAdamW, PlainDispatchMode, PlainSGD
class Mode(PlainDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return func(*args, **(kwargs or {}))
weight = torch.nn.Parameter(torch.ones(2))
with Mode():
    weight.sum().backward()
for kind in (PlainSGD, PlainAdam, PlainAdamW):
    optimizer = kind([weight], lr=0.1, fused=True)
    optimizer.step()
    optimizer.zero_grad(set_to_none=False)
print("torch._dynamo" in sys.modules)
"""
    done = fresh_python(script, folder=tmp_path)
    assert done.stdout == "False\n", done.stderr


def test_a_mode_sees_operations() -> None:
    with Operations() as mode:
        torch.ones(2) + 1
    assert mode.names == ["ones", "add"]


def test_an_operation_says_what_its_arguments_are_called() -> None:
    arguments = torch.ops.aten.sum.dim_IntList._schema.arguments
    assert [argument.name for argument in arguments] == ["self", "dim", "keepdim", "dtype"]
    assert [argument.default_value for argument in arguments if argument.has_default_value()] == [False, None]


def test_nested_tensors_are_found_and_replaced() -> None:
    nested = {"a": [torch.ones(1), 2], "b": (torch.zeros(1),)}
    assert [type(leaf) for leaf in tree_leaves(nested)] == [Tensor, int, Tensor]
    assert tree_map(lambda leaf: 0, nested) == {"a": [0, 0], "b": (0,)}


def test_a_cpu_says_whether_it_has_bf16() -> None:
    assert has_bf16(torch.device("cpu")) in (True, False)


@pytest.mark.parametrize(("kind", "given"), [(torch.optim.SGD, {"momentum": 0.9}), (torch.optim.Adam, {})])
def test_a_fused_optimizer_is_told_of_an_overflow(kind: Any, given: dict[str, Any]) -> None:
    """And an optimizer that is not fused is not asked to step at all."""
    found: list[Tensor | None] = []
    for fused in (True, False):
        weight = nn.Parameter(torch.ones(2))
        optimizer = kind([weight], lr=0.1, fused=fused, **given)
        optimizer.register_step_post_hook(lambda optimizer, *_: found.append(overflow_in(optimizer)))
        scaler = torch.amp.GradScaler("cpu")
        for factor in (1.0, float("inf")):
            scaler.scale(weight.sum() * factor).backward()
            scaler.unscale_(optimizer)
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
            assert overflow_in(optimizer) is None
    assert [None if value is None else float(value) for value in found] == [0.0, 1.0, None]


@pytest.mark.parametrize("unscaled", [True, False])
def test_a_fused_optimizer_is_told_of_gradients_that_are_still_scaled(unscaled: bool) -> None:
    weight, found = nn.Parameter(torch.ones(2)), []
    optimizer, scaler = torch.optim.SGD([weight], lr=0.1, fused=True), torch.amp.GradScaler("cpu", init_scale=8.0)
    optimizer.register_step_pre_hook(lambda optimizer, *_: found.append(grad_scale_in(optimizer)))
    scaler.scale(weight.sum()).backward()
    if unscaled:
        scaler.unscale_(optimizer)
    scaler.step(optimizer)
    optimizer.step()
    assert [None if value is None else float(value) for value in found] == [None if unscaled else 8.0, None]


def test_an_optimizer_that_never_was_set_up_calls_no_hooks() -> None:
    class Holding(torch.optim.Optimizer):
        def __init__(self, inner: torch.optim.Optimizer) -> None:
            self.inner = inner

        def step(self, closure: Any = None) -> Any:
            return self.inner.step(closure)

    inner = torch.optim.SGD([nn.Parameter(torch.ones(2))], lr=0.1)
    assert calls_hooks(inner)
    assert not calls_hooks(Holding(inner))


def test_the_arguments_of_synced_batch_norm() -> None:
    """It runs on several GPUs alone."""
    names = ["input", "weight", "bias", "running_mean", "running_var", "eps", "momentum", "process_group", "world_size"]
    assert [*inspect.signature(SyncBatchNorm.forward).parameters][1:] == names
    source = inspect.getsource(nn.SyncBatchNorm.forward)
    assert "sync_batch_norm.apply(" in source


@pytest.mark.parametrize("images", [0, 3])
def test_a_process_without_images_gives_its_part_in_float32(monkeypatch: pytest.MonkeyPatch, images: int) -> None:
    seen: list[Any] = []

    class Stand:
        @staticmethod
        def apply(x: Tensor, *rest: Any) -> Tensor:
            seen.extend((x.dtype, *rest))
            return x * 2

    monkeypatch.setattr(torch_internals, "SyncBatchNorm", Stand)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda group: {"group": 4}[group])
    weight, bias, mean, variance = (torch.full((2,), float(number)) for number in range(4))
    x = torch.ones(images, 2, 1, 1, dtype=torch.bfloat16)
    group: Any = "group"
    y = synced_batch_norm(x, mean, variance, weight, bias, 0.1, 1e-5, group=group)
    assert (y.dtype, y.shape) == (torch.bfloat16, x.shape)
    assert seen[0] == (torch.bfloat16 if images else torch.float32)
    assert all(given is wanted for given, wanted in zip(seen[1:5], (weight, bias, mean, variance), strict=True))
    assert seen[5:] == [1e-5, 0.1, "group", 4]


def test_a_module_can_become_another_one() -> None:
    class Doubled(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * super().forward(x)

    layer, x = nn.Linear(2, 2), torch.ones(1, 2)
    before, keys = layer(x), [*layer.state_dict()]
    become_(layer, Doubled)
    assert isinstance(layer, Doubled)
    assert torch.equal(layer(x), 2 * before)
    assert [*layer.state_dict()] == keys


def test_the_module_at_work_is_on_the_stack() -> None:
    """From torch's handler of an operation to the frame that ran the network."""
    found: list[list[str]] = []

    class Where(PlainDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            named = (module_in(frame, names) for frame in frames_until(entered))
            found.append([name for name in named if name])
            return func(*args, **(kwargs or {}))

    model = nn.Sequential(nn.Sequential(nn.ReLU()))
    names = {id(module): name or "all" for name, module in model.named_modules()}
    entered, x = inspect.currentframe(), torch.ones(1)
    with Where():
        model(x)
    (modules,) = found
    assert list(dict.fromkeys(modules)) == ["0.0", "0", "all"]


def test_what_layers_of_any_dimensions_have_in_common() -> None:
    for kinds, common in (
        ((nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm), _BatchNorm),
        ((nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d), _InstanceNorm),
        ((nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d), _ConvNd),
    ):
        assert all(issubclass(kind, common) for kind in kinds)


def test_operations_on_lists_of_tensors() -> None:
    some, two = [torch.tensor([1.0, -2.0]), torch.tensor([3.0])], torch.tensor(2.0)
    sizes = torch._foreach_abs(some)
    torch._foreach_add_(sizes, two, alpha=-1)
    torch._foreach_clamp_min_(sizes, 0.0)
    torch._foreach_mul_(sizes, torch._foreach_sign(some))
    assert [size.tolist() for size in sizes] == [[0.0, -0.0], [1.0]]
    torch._foreach_sub_(sizes, torch._foreach_mul(some, two))
    torch._foreach_copy_(some, sizes)
    assert [tensor.tolist() for tensor in some] == [[-2.0, 4.0], [-5.0]]
