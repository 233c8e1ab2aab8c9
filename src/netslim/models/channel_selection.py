"""Channel selection: a per-block choice among a stream's channels (network-slimming's `channel_selection` layer)."""

from collections.abc import Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ChannelSelection(nn.Module):
    """Passes on the chosen channels of its input; put right after a BatchNorm.

    The choice is stored as in the original's files, a float 0/1 vector `indexes`, but as a buffer: it is neither
    learnable nor an optimizer's business. The integer index that `forward` gathers with is computed when the choice
    changes, by `select` or when a state dict is loaded; `forward` never waits for a device. With all channels chosen
    the input itself is returned.

    Args:
        channels: width of the input stream.
        selected: how many channels the built network expects to be chosen; the choice itself comes with the weights.

    Shape: (N, channels, H, W) -> (N, selected, H, W).
    """

    indexes: Tensor
    index: Tensor

    def __init__(self, channels: int, selected: int | None = None) -> None:
        super().__init__()
        self.channels = channels
        self.register_buffer("indexes", torch.ones(channels))
        self.register_buffer("index", torch.arange(channels), persistent=False)
        if selected is not None and selected != channels:
            self.select(range(selected))

    @property
    def selected(self) -> int:
        """Number of channels passed on."""
        return self.index.numel()

    def select(self, keep: Sequence[int]) -> None:
        """Chooses the channels `keep` (increasing). Raises IndexError for one that the stream does not have."""
        unknown = [channel for channel in keep if not 0 <= channel < self.channels]
        if unknown:
            raise IndexError(f"channel {unknown[0]} of a stream that has channels 0 to {self.channels - 1}")
        chosen = torch.zeros(self.channels, device=self.indexes.device, dtype=self.indexes.dtype)
        chosen[list(keep)] = 1
        self.indexes = chosen
        self._refresh()

    def forward(self, stream: Tensor) -> Tensor:
        """(N, channels, H, W) -> (N, selected, H, W)."""
        if self.index.numel() == self.channels:
            return stream
        if stream.device.type == "cpu" and _is_channels_last(stream):
            return self._select_by_convolution(stream)
        return stream.index_select(1, self.index)

    def read(self, convolution: nn.Conv2d, stream: Tensor) -> Tensor:
        """The convolution of the ReLU of the chosen channels; overwrites `stream`.

        A network that learns on a CPU in channels-last layout reads all channels through a weight that is zero where
        none is chosen, unless that is more work: to bring the chosen ones together, and their gradients back, costs
        more than the convolution itself.

        Args:
            convolution: of `selected` input channels, padded with zeros, without groups. Where the weight is widened
                its own `forward`, and with it its hooks, are passed over.
            stream: (N, channels, H, W).

        Returns:
            (N, out_channels, H', W').
        """
        if not self._reads_all(convolution, stream):
            return cast(Tensor, convolution(F.relu(self(stream), inplace=True)))
        weight = convolution.weight
        widened = weight.new_zeros(weight.shape[0], self.channels, *weight.shape[2:]).index_copy(1, self.index, weight)
        images = F.relu(stream, inplace=True)
        return F.conv2d(
            images, widened, convolution.bias, convolution.stride, convolution.padding, convolution.dilation
        )

    def _reads_all(self, convolution: nn.Conv2d, stream: Tensor) -> bool:
        learns = self.training and torch.is_grad_enabled() and self.selected < self.channels
        if not learns or stream.device.type != "cpu" or not _is_channels_last(stream):
            return False
        per_channel = convolution.weight[:, 0].numel()  # multiplications per position
        return self.channels * per_channel <= self.selected * (self.channels + per_channel)

    def _select_by_convolution(self, stream: Tensor) -> Tensor:
        """The same numbers from a 1x1 convolution with zeros and ones.

        In channels-last layout `index_select` is slow forward, several times slower backward, and leaves the layout, so
        that every layer after it has to convert. Not on GPUs: their convolutions may round float32.
        """
        picks = torch.eye(self.channels, dtype=stream.dtype, device=stream.device).index_select(0, self.index)
        return F.conv2d(stream, picks[:, :, None, None])

    def extra_repr(self) -> str:
        """For `print(model)`."""
        return f"{self.channels} -> {self.selected}"

    def _refresh(self) -> None:
        self.index = self.indexes.nonzero().flatten()

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        cast(Any, self)._refresh()


def _is_channels_last(images: Tensor) -> bool:
    return images.dim() == 4 and images.is_contiguous(memory_format=torch.channels_last) and not images.is_contiguous()
