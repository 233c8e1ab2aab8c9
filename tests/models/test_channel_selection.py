"""Channel selection: boolean indexing, for nothing when everything is chosen."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from netslim.models import ChannelSelection

masks = st.lists(st.booleans(), min_size=1, max_size=12).filter(any)


def chosen(mask: list[bool]) -> list[int]:
    return [channel for channel, stays in enumerate(mask) if stays]


@given(masks)
def test_it_is_boolean_indexing(mask: list[bool]) -> None:
    selection = ChannelSelection(len(mask))
    selection.select(chosen(mask))
    stream = torch.randn(2, len(mask), 3, 3)
    assert torch.equal(selection(stream), stream[:, torch.tensor(mask)])
    assert selection.selected == sum(mask)
    assert selection.index.tolist() == chosen(mask)


def test_everything_chosen_returns_the_very_input() -> None:
    selection = ChannelSelection(4)
    stream = torch.randn(2, 4, 3, 3)
    assert selection(stream) is stream
    selection.select([1, 2])
    assert selection(stream).shape == (2, 2, 3, 3)
    selection.select(range(4))
    assert selection(stream) is stream


def test_gradients_reach_the_chosen_channels_only() -> None:
    selection = ChannelSelection(4)
    selection.select([0, 3])
    stream = torch.ones(1, 4, 2, 2, requires_grad=True)
    selection(stream).sum().backward()
    assert stream.grad is not None
    assert stream.grad[0, :, 0, 0].tolist() == [1, 0, 0, 1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_channels_last_images_keep_their_layout_and_their_bits(dtype: torch.dtype) -> None:
    selection = ChannelSelection(6)
    selection.select([0, 3, 4])
    stream = torch.randn(2, 6, 5, 4, dtype=dtype)
    last = stream.to(memory_format=torch.channels_last).requires_grad_()
    found = selection(last)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(found, selection(stream))
    wanted = torch.randn(2, 3, 5, 4, dtype=dtype)
    found.backward(wanted)
    gradient = torch.zeros_like(stream)
    gradient[:, [0, 3, 4]] = wanted
    assert last.grad is not None
    assert torch.equal(last.grad, gradient)


@settings(deadline=None)
@given(masks, st.sampled_from([1, 3]), st.sampled_from([1, 2]), st.sampled_from([1, 2]), st.integers(1, 12))
def test_what_a_learning_network_reads_is_the_convolution_of_the_chosen_channels(
    mask: list[bool], size: int, stride: int, dilation: int, out: int
) -> None:
    selection = ChannelSelection(len(mask))
    selection.select(chosen(mask))
    convolution = nn.Conv2d(sum(mask), out, size, stride, dilation * (size // 2), dilation).double()
    images = torch.randn(2, len(mask), 5, 4, dtype=torch.float64)
    found = {}
    for layout in (torch.contiguous_format, torch.channels_last):
        stream = images.clone().requires_grad_()
        convolution.zero_grad()
        laid_out = stream.clone().contiguous(memory_format=layout)
        read = selection.read(convolution, laid_out)
        read.square().sum().backward()
        gradients = (
            stream.grad,
            convolution.weight.grad,
            convolution.bias.grad if convolution.bias is not None else None,
        )
        found[layout] = (read, *(each.clone() for each in gradients if each is not None))
    torch.testing.assert_close(*found.values())


def test_channels_are_brought_together_only_where_that_is_less_work() -> None:
    stream = torch.randn(2, 64, 4, 4).contiguous(memory_format=torch.channels_last)
    calls = []
    for selected, brought in ((60, False), (20, False), (4, True), (64, True)):
        selection = ChannelSelection(64, selected)
        convolution = nn.Conv2d(selected, 16, 1)
        convolution.register_forward_hook(lambda *_: calls.append(True))
        selection.read(convolution, stream.clone())
        assert bool(calls) == brought
        calls.clear()
        selection.eval().read(convolution, stream.clone())
        assert calls.pop()


@given(masks)
def test_loaded_weights_bring_the_choice(mask: list[bool]) -> None:
    saved, fresh = ChannelSelection(len(mask)), ChannelSelection(len(mask))
    saved.select(chosen(mask))
    for loaded in (fresh, nn.Sequential(ChannelSelection(len(mask), sum(mask)))):
        prefix = "" if loaded is fresh else "0."
        loaded.load_state_dict({f"{prefix}indexes": saved.indexes})
        selection = next(module for module in loaded.modules() if isinstance(module, ChannelSelection))
        assert selection.index.tolist() == chosen(mask)


def test_a_choice_can_be_loaded_by_assignment_and_replaced_again() -> None:
    selection = ChannelSelection(3)
    selection.load_state_dict({"indexes": torch.tensor([0.0, 1.0, 0.0])}, assign=True)
    assert selection.index.tolist() == [1]
    selection.load_state_dict({"indexes": torch.ones(3)})
    assert selection.index.tolist() == [0, 1, 2]


def test_the_file_holds_a_float_vector_of_zeros_and_ones_and_nothing_else() -> None:
    selection = ChannelSelection(5, selected=2)
    assert selection.state_dict().keys() == {"indexes"}
    assert selection.indexes.dtype == torch.float32
    assert selection.indexes.tolist() == [1, 1, 0, 0, 0]
    assert list(selection.parameters()) == []


def test_a_copy_chooses_for_itself() -> None:
    selection = ChannelSelection(3)
    state = selection.state_dict()
    copied = copy.deepcopy(selection)
    copied.select([1])
    stream = torch.randn(1, 3, 2, 2)
    assert torch.equal(copied(stream), stream[:, 1:2])
    assert selection(stream) is stream
    selection.select([2])
    assert state["indexes"].tolist() == [1, 1, 1]  # a choice replaces the vector, it does not write into it


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions(dtype: torch.dtype) -> None:
    selection = ChannelSelection(4)
    selection.select([1, 3])
    selection.to(dtype)
    assert selection.index.dtype == torch.int64
    stream = torch.randn(2, 4, 2, 2, dtype=dtype)
    assert torch.equal(selection(stream), stream[:, [1, 3]])
    selection.select([0])
    assert selection.indexes.dtype == dtype


@pytest.mark.parametrize(("keep", "channel"), [([-1], -1), ([0, 4], 4), ([1, 9, -2], 9)])
def test_channels_that_the_stream_does_not_have(keep: list[int], channel: int) -> None:
    selection = ChannelSelection(4)
    with pytest.raises(IndexError) as caught:
        selection.select(keep)
    assert str(caught.value) == f"channel {channel} of a stream that has channels 0 to 3"
    assert selection.selected == 4


def test_a_vector_of_another_width_is_refused_and_changes_nothing() -> None:
    selection = ChannelSelection(4, selected=2)
    with pytest.raises(RuntimeError, match="size mismatch"):
        selection.load_state_dict({"indexes": torch.ones(3)})
    assert selection.index.tolist() == [0, 1]


def test_it_prints_its_widths() -> None:
    assert repr(ChannelSelection(16, selected=9)) == "ChannelSelection(16 -> 9)"
