"""What netslim takes of torch that is no public interface: all of it is here, each with its reason.

A release of torch may change any of it; `tests/core/networks/test_torch_internals.py` then says what. Some names
with an underscore are imported where they are needed all the same, because everyone does and no public name says it:
`_BatchNorm`, `_InstanceNorm`, `_ConvNd` (these layers for any number of dimensions) and `torch._foreach_*` (in torch's
documentation, as beta). They are in that test, too.
"""

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from types import FrameType

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules._functions import SyncBatchNorm
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves as tree_leaves  # tensors in nested arguments, as torch itself finds them
from torch.utils._pytree import tree_map as tree_map

# Compiler

COMPILED = "OptimizedModule"  # the class of what torch.compile returns
COMPILED_CALL = "_compiled_call_impl"  # what `module.compile()` leaves (since 2.2): of no copy, as it runs the original


class PlainSGD(torch.optim.SGD):
    """torch's SGD, never compiled.

    torch (since 2.0) wraps these methods to keep its compiler out of them, and for that imports the compiler: seconds
    at every start. Without the wrapper they are the same code; what it does besides is to switch gradients off for a
    step. Were there no wrapper, `inspect.unwrap` would return the method itself: only the start would be slow again.
    """

    add_param_group = inspect.unwrap(torch.optim.SGD.add_param_group)
    zero_grad = inspect.unwrap(torch.optim.SGD.zero_grad)
    step = torch.no_grad()(inspect.unwrap(torch.optim.SGD.step))


class PlainAdam(torch.optim.Adam):
    """torch's Adam, never compiled, for the same reason."""

    add_param_group = inspect.unwrap(torch.optim.Adam.add_param_group)
    zero_grad = inspect.unwrap(torch.optim.Adam.zero_grad)
    step = torch.no_grad()(inspect.unwrap(torch.optim.Adam.step))


class PlainAdamW(torch.optim.AdamW):
    """torch's AdamW, never compiled, for the same reason."""

    add_param_group = inspect.unwrap(torch.optim.AdamW.add_param_group)
    zero_grad = inspect.unwrap(torch.optim.AdamW.zero_grad)
    step = torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step))


class PlainDispatchMode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A mode that is never compiled: torch need not load its compiler, which takes seconds.

    torch asks `_should_skip_dynamo` when a subclass is made (since 2.11). A torch that asks something else only starts
    later. The base class itself stands in a private module (since 1.13), and in torch's documentation.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False


# Operations


def flops_of_shapes(registered: Callable[..., int]) -> Callable[..., int]:
    """What counts an operation's FLOPs from shapes in the places of its tensors, and from `out_shape`.

    What `flop_registry` of `torch.utils.flop_counter` holds is such a function in a wrapper (since 2.1) that looks for
    tensors in every nested argument, ten times as long as the formula takes. Were there none, the same formula would
    be called with another keyword for the result, and a convolution's would end in a TypeError.
    """
    formula: Callable[..., int] = inspect.unwrap(registered)
    return formula


# Mixed precision


def has_bf16(device: torch.device) -> bool:
    """Whether a device computes in bfloat16 itself.

    For CPUs torch has no public question: this one, of oneDNN, is what its own tests ask. Without it there would be an
    AttributeError.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def overflow_in(optimizer: torch.optim.Optimizer) -> Tensor | None:
    """During the step of a fused optimizer: what a GradScaler found, 0 or more than 0 if the step changes nothing.

    None outside of a step, without a scaler, and for other optimizers, whose step the scaler leaves out instead. It is
    an attribute that `GradScaler.step` gives to the optimizer for this time (since 2.0): a fused step is always
    launched and looks at it on the device, so that nothing else says, without waiting, whether the step was taken.
    Under another name, a skipped step would be taken for one that was not.
    """
    found: Tensor | None = getattr(optimizer, "found_inf", None)
    return found


def grad_scale_in(optimizer: torch.optim.Optimizer) -> Tensor | None:
    """During the step of a fused optimizer: what its gradients are still multiplied with, or None.

    Given to it by `GradScaler.step` like `found_inf`, unless the gradients were unscaled before. Under another name,
    what is added to gradients that are still scaled would be too little by that scale.
    """
    found: Tensor | None = getattr(optimizer, "grad_scale", None)
    return found


# Optimizers


def calls_hooks(optimizer: torch.optim.Optimizer) -> bool:
    """Whether an optimizer's step calls the hooks that are registered on it.

    torch wraps the method of each class when its `Optimizer.__init__` runs, and marks it `hooked` (since 2.0). A class
    that never calls that, as some that hold another optimizer, takes hooks and calls none of them.
    """
    return bool(getattr(type(optimizer).step, "hooked", False))


# Several processes


def synced_batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    momentum: float,
    eps: float,
    *,
    group: dist.ProcessGroup,
) -> Tensor:
    """What `nn.SyncBatchNorm` computes in train mode on a GPU, for a BatchNorm of any class.

    The public way is to replace the modules, which would lose what a library's own BatchNorm classes do besides. The
    function stands in a private module (arguments as here in 2.10 and before); were they others, a run of several GPUs
    with `sync_bn` would end in a TypeError. A process without images has to be in float32: the function makes its part
    of the sums in the dtype of the input, and that of the others in float32.

    Args:
        x: (N, C, ...); N may be 0 where other processes have some.
        running_mean, running_var, weight, bias: (C,); the first two are changed in place.
        momentum, eps: as in `F.batch_norm`.
        group: of the processes.
    """
    inputs = x if x.numel() else x.float()
    size = dist.get_world_size(group)
    y: Tensor = SyncBatchNorm.apply(inputs, weight, bias, running_mean, running_var, eps, momentum, group, size)
    return y.to(x.dtype)


# Python objects


def become_(module: nn.Module, kind: type[nn.Module]) -> None:
    """Gives a module another class, whose `__init__` does not run: parameters, hooks and keys stay.

    Python allows it between classes of the same memory layout. nn.Module and what derives from it have no `__slots__`;
    a class with some would be refused with a TypeError.
    """
    module.__class__ = kind


def frames_until(entered: FrameType | None) -> Iterator[FrameType]:
    """The Python frames at work, from the caller's outwards, up to but without `entered`.

    torch tells an operation's handler what is computed, not who asked for it; CPython's stack does.
    """
    frame: FrameType | None = sys._getframe(1)  # CPython's, like the names of `f_locals` below
    while frame is not None and frame is not entered:
        yield frame
        frame = frame.f_back


def module_in(frame: FrameType, names: Mapping[int, str]) -> str | None:
    """The name of the module whose method a frame runs: what is called `self` in it.

    Args:
        frame: of `forward`, or of any other method, in torch's code or in a network's.
        names: by `id` of a module, its name.
    """
    return names.get(id(frame.f_locals.get("self")))


def holds_compiled(model: nn.Module) -> bool:
    """Whether `torch.compile` wrapped the network or a part of it."""
    return any(type(module).__name__ == COMPILED for module in model.modules())


def compiled_from(module: nn.Module) -> nn.Module | None:
    """The network that `torch.compile` was given, or None: its class stands in a private module (since 2.0).

    The compiler is not imported to ask: what it did not compile is not of this class.
    """
    if type(module).__name__ != COMPILED:
        return None
    inner: nn.Module | None = module.__dict__.get("_modules", {}).get("_orig_mod")
    return inner
