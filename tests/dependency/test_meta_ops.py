"""Shapes that are remembered are those that torch works out."""

from typing import Any

import pytest
import torch
from torch import Tensor

from netslim.dependency.meta_ops import META, MetaOps

ATEN = torch.ops.aten


def shape(*size: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(size, device=META, dtype=dtype)


STEP = (None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1)


FILTER, VECTOR = shape(5, 3, 3, 3), shape(4)


WHOLE = shape(4, dtype=torch.int64)


PIXELS = shape(2, 3, 8, 8).to(memory_format=torch.channels_last)


TURNED = shape(2, 4, 3, 3).transpose(2, 3)


OPERATIONS: dict[str, tuple[Any, ...]] = {
    "convolution": (ATEN.convolution.default, (shape(2, 3, 8, 8), FILTER, *STEP)),
    "of pixels in a row": (ATEN.convolution.default, (PIXELS, FILTER, *STEP)),
    "with a whole number": (ATEN.add.Tensor, (WHOLE, 1)),
    "with a fraction": (ATEN.add.Tensor, (WHOLE, 1.0)),
    "with true": (ATEN.add.Tensor, (WHOLE, True)),
    "of every other": (ATEN.relu.default, (shape(4, 6)[:, ::2],)),
    "several": (ATEN.native_layer_norm.default, (shape(2, 7, 4), [4], VECTOR, VECTOR, 1e-5)),
    "joined": (ATEN.cat.default, ([shape(2, 3), shape(2, 4)], 1)),
    "a view": (ATEN.view.default, (shape(2, 6), [3, 4])),
    "in place": (ATEN.add_.Tensor, (shape(2, 6), shape(6))),
    "a list": (ATEN.split.Tensor, (shape(2, 6), 4, 1)),
    "in double precision": (ATEN.relu.default, (shape(4, 6, dtype=torch.float64),)),
    "normalised": (ATEN.native_batch_norm.default, (shape(2, 4, 3, 3), *[VECTOR] * 4, False, 0.1, 1e-5)),
    "averaged": (ATEN.mean.dim, (shape(2, 3, 8, 8), [2, 3])),
    "averaged in one place": (ATEN.mean.dim, (shape(2, 3, 8, 8), [-1, -2], True)),
    "averaged in double precision": (ATEN.mean.dim, (shape(2, 3, 8, 8), [3]), {"dtype": torch.float64}),
    "linear": (ATEN.addmm.default, (VECTOR, shape(2, 3), shape(3, 4))),
    "linear of another type": (ATEN.addmm.default, (VECTOR, shape(2, 3, dtype=torch.float64), shape(3, 4))),
    "linear with a row of biases": (ATEN.addmm.default, (shape(2, 4), shape(2, 3), shape(3, 4))),
    "compared": (ATEN.gt.Tensor, (shape(2, 6), shape(2, 6))),
    "divided without a rest": (ATEN.floor_divide.default, (WHOLE, WHOLE)),
    "a number": (ATEN.add.Tensor, (shape(), shape(dtype=torch.int64))),
    "turned": (ATEN.native_batch_norm.default, (TURNED, *[VECTOR] * 4, False, 0.1, 1e-5)),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_remembered_shapes_are_those_that_torch_works_out(name: str) -> None:
    func, args, *more = OPERATIONS[name]
    options = more[0] if more else {}
    expected, ops = func(*args, **options), MetaOps()
    for _ in range(2):
        found = ops(func, args, options)
        assert isinstance(found, Tensor) is isinstance(expected, Tensor)
        pairs = [(found, expected)] if isinstance(found, Tensor) else list(zip(found, expected, strict=True))
        for ours, theirs in pairs[:1] if "norm" in func.__name__ else pairs:  # statistics are not asked for
            assert (ours.shape, ours.stride(), ours.dtype) == (theirs.shape, theirs.stride(), theirs.dtype)
            assert ours.device == META
    if name == "in place":
        assert found is args[0]


def test_a_remembered_shape_is_not_that_of_another_default_type() -> None:
    halved = (ATEN.true_divide.Scalar, (shape(4, dtype=torch.int64), 2), {})
    assert MetaOps()(*halved).dtype == torch.float32
    torch.set_default_dtype(torch.float64)
    try:
        assert MetaOps()(*halved).dtype == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


def convolved(width: int, groups: int = 1, bias: bool = False, given: int | None = None) -> tuple[object, ...]:
    weight = shape(2 * width, (given or width) // groups, 3, 3)
    return (
        shape(2, width, 8, 8),
        weight,
        shape(2 * width) if bias else None,
        [2, 2],
        [1, 1],
        [1, 1],
        False,
        [0, 0],
        groups,
    )


LAYERS = {
    "convolution": (ATEN.convolution.default, convolved),
    "with a bias": (ATEN.convolution.default, lambda width: convolved(width, bias=True)),
    "in groups": (ATEN.convolution.default, lambda width: convolved(width, groups=2)),
    "channel by channel": (ATEN.convolution.default, lambda width: convolved(width, groups=width)),
    "pooled": (ATEN.max_pool2d_with_indices.default, lambda width: (shape(2, width, 8, 8), [3, 3], [2, 2])),
    "pooled to one": (ATEN._adaptive_avg_pool2d.default, lambda width: (shape(2, width, 8, 8), [1, 1])),
    "mean": (ATEN.mean.dim, lambda width: (shape(2, width, 8, 8), [-1, -2])),
    "mean that keeps its sides": (ATEN.mean.dim, lambda width: (shape(2, width, 8, 8), [2, 3], True)),
    "mean over channels": (ATEN.mean.dim, lambda width: (shape(2, width, 8, 8), [1], True)),
    "element by element": (ATEN.hardswish.default, lambda width: (shape(2, width, 8, 8),)),
    "two of them": (ATEN.add.Tensor, lambda width: (shape(2, width, 8, 8), shape(2, width, 8, 8))),
    "of two types": (ATEN.mul.Tensor, lambda width: (shape(2, width), shape(2, width, dtype=torch.int64))),
    "compared": (ATEN.gt.Scalar, lambda width: (shape(2, width), 0.5)),
    "a gate": (ATEN.mul.Tensor, lambda width: (shape(2, width, 1, 1), shape(2, width, 8, 8))),
}


@pytest.mark.parametrize("name", LAYERS)
def test_what_is_known_of_a_layer_holds_for_other_widths(name: str) -> None:
    (func, given), ops = LAYERS[name], MetaOps()
    for width in (4, 6, 2, 6):
        found, expected = (
            [*result] if isinstance(result, tuple) else [result]
            for result in (ops(func, given(width), {}), func(*given(width)))
        )
        for ours, theirs in zip(found, expected, strict=True):
            assert (ours.shape, ours.stride(), ours.dtype) == (theirs.shape, theirs.stride(), theirs.dtype)


def test_a_layer_that_does_not_fit_is_refused_as_torch_refuses_it() -> None:
    ops = MetaOps()
    ops(ATEN.convolution.default, convolved(4), {})
    with pytest.raises(RuntimeError, match="Invalid channel"):
        ops(ATEN.convolution.default, convolved(4, given=6), {})


def test_an_operation_in_place_gives_its_argument() -> None:
    ops = MetaOps()
    for width in (4, 6):
        images = shape(2, width, 8, 8)
        assert ops(ATEN.hardswish_.default, (images,), {}) is images
