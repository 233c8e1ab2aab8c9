"""Numbers that are made from the width, in every form: none may go wrong in silence."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from constructs import WIDTH, conv_bn, function, middle


def _index_of_channels(x: Tensor) -> Tensor:
    return x * torch.arange(x.shape[1], device=x.device).view(1, -1, 1, 1)


def _added_line(x: Tensor) -> Tensor:
    return x + torch.linspace(0, 1, x.shape[1])[None, :, None, None]


def _by_a_tensor(x: Tensor) -> Tensor:
    return x / torch.tensor(float(x.shape[1])).sqrt()


def _by_a_full_tensor(x: Tensor) -> Tensor:
    return x * torch.full((1, 1, 1, 1), x.shape[1] ** -0.5)


def _filled(x: Tensor) -> Tensor:
    return x * x.new_full((1,), 1 / x.shape[1])


def _added_to_zeros(x: Tensor) -> Tensor:
    return x * (torch.zeros(1) + x.shape[1])


def _counted(x: Tensor) -> Tensor:
    return x / torch.ones_like(x).sum(1, keepdim=True)


def _counted_by_numel(x: Tensor) -> Tensor:
    return x / (x.numel() / x.shape[0] / x.shape[2] / x.shape[3])


def _branch(x: Tensor) -> Tensor:
    return x * 2 if x.shape[1] > 12 else x


def _in_python(x: Tensor) -> Tensor:
    return x * (1 + math.log(x.shape[1])) + len(x[0])


def _power(x: Tensor) -> Tensor:
    return x.relu() ** (1 + 1 / x.shape[1])


def _threshold(x: Tensor) -> Tensor:
    return F.threshold(x, 1 / x.shape[1], 0.0) + x.clamp(max=x.shape[1] / 16) + F.leaky_relu(x, 1 / x.shape[1])


def _steps_of_space(x: Tensor) -> Tensor:
    return x[:, :, :: max(x.shape[1] // 8, 1)]


def _size_of_space(x: Tensor) -> Tensor:
    return F.adaptive_avg_pool2d(x, x.shape[1] // 2)


def _kernel_of_space(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, x.shape[1] // 8)


def _rolled(x: Tensor) -> Tensor:
    return x.roll(x.shape[1] // 4, 2)


def _padded(x: Tensor) -> Tensor:
    return F.pad(x, (x.shape[1] // 8, 0, 0, 0))


def _dropped(x: Tensor) -> Tensor:
    return x[:, :, x.shape[1] // 8 :]


def _picked(x: Tensor) -> Tensor:
    return x[:, :, x.shape[1] // 4, None] + x


def _most(x: Tensor) -> Tensor:
    return x.flatten(2).topk(x.shape[1] // 4, 2)[0][..., None]


def _repeated(x: Tensor) -> Tensor:
    for _ in range(x.shape[1] // 8):
        x = x * 1.5
    return x


def _list_of_channels(x: Tensor) -> Tensor:
    return torch.stack([x[:, i] * (i + 1) for i in range(x.shape[1])], 1)


def _eye(x: Tensor) -> Tensor:
    return torch.einsum("nchw,cd->ndhw", x, torch.eye(x.shape[1]))


def _seeded(x: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return x + torch.randn(1, x.shape[1], 1, 1, generator=generator)


def _positions(x: Tensor) -> Tensor:
    rate = torch.exp(torch.arange(0, x.shape[1], 2).float() * -(math.log(100.0) / x.shape[1]))
    angle = torch.arange(x.shape[2]).float()[:, None] * rate
    return x + torch.stack([angle.sin(), angle.cos()], -1).flatten(1).t()[None, :, :, None]


_FORMS = {
    "scaled_by_the_root": lambda x: x * x.shape[1] ** -0.5,
    "divided_by_size": lambda x: x / x.size(1),
    "times_the_channel_number": _index_of_channels,
    "line_of_channels": _added_line,
    "width_in_a_tensor": _by_a_tensor,
    "width_in_a_full_tensor": _by_a_full_tensor,
    "width_in_new_full": _filled,
    "width_added_to_zeros": _added_to_zeros,
    "channels_counted": _counted,
    "width_of_numel": _counted_by_numel,
    "branch_on_the_width": _branch,
    "logarithm_of_the_width": _in_python,
    "power_of_the_width": _power,
    "threshold_of_the_width": _threshold,
    "stride_of_the_width": _steps_of_space,
    "pool_of_the_width": _size_of_space,
    "kernel_of_the_width": _kernel_of_space,
    "roll_of_the_width": _rolled,
    "padding_of_the_width": _padded,
    "start_of_the_width": _dropped,
    "place_of_the_width": _picked,
    "topk_of_the_width": _most,
    "loop_over_the_width": _repeated,
    "loop_over_channels": _list_of_channels,
    "identity_matrix": _eye,
    "seeded_noise": _seeded,
    "positions_of_sines": _positions,
    "temperature_of_a_softmax": lambda x: x * (x.flatten(2) / x.shape[1] ** 0.5).softmax(2).view(x.shape),
    "mean_by_hand": lambda x: x - x.sum(1, keepdim=True) / x.shape[1],
    "rescaled_by_shapes": lambda x: x * (x.shape[1] / 16) + x.stride(0) / 1e4,
    "ratio_that_cancels": lambda x: x * (x[:, ::1].shape[1] / x.shape[1]),
    "add_with_alpha": lambda x: torch.add(x, x, alpha=1 / x.shape[1]),
    "lerp_by_the_width": lambda x: torch.lerp(x, x * 2, 1 / x.shape[1]),
    "normalised_with_eps_of_the_width": lambda x: F.normalize(x, dim=1, eps=x.shape[1] / 4),
    "dropout_share_of_the_width": lambda x: F.dropout(x, 1 / x.shape[1], training=False) * 2,
}
for _name, _form in _FORMS.items():
    function("numbers of widths", _name, _form)


@middle("numbers of widths")
class WidthOfAModule(nn.Module):
    """Read from an attribute, which surgery changes."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.conv = conv_bn(WIDTH, 16), nn.Conv2d(16, 16, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.body(x)) * self.conv.in_channels**-0.5


@middle("numbers of widths")
class WidthOfAWeight(nn.Module):
    """Read from the shape of a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.conv = conv_bn(WIDTH, 16), nn.Conv2d(16, 16, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.body(x)) / math.sqrt(self.conv.weight.shape[1])


@middle("numbers of widths")
class WidthInAnAttribute(nn.Module):
    """Kept when it was built: no cut changes it, and it is right to prune."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.scale = conv_bn(WIDTH, 16), 16**-0.5

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) * self.scale
