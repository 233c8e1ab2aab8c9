"""What a backbone says of the channels of its features (timm's `feature_info`), put right after a cut."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from netslim.core.networks.example import Inputs
from netslim.dependency.meta import skeleton, specs_for
from netslim.dependency.meta_ops import META, ShapesOnly


class _AllSeenError(Exception):
    """The network need not run on."""


def update_feature_info_(model: nn.Module, inputs: Inputs) -> None:
    """Writes into every `feature_info` of a network how many channels its features have.

    A backbone that is pruned by itself keeps its features, which it gives out; inside a network that reads them they
    lose channels like any others.

    Args:
        model: the cut network.
        inputs: `TensorSpec`s of what it runs on.
    """
    names = [name for name, module in model.named_modules() if _tells_channels(module)]
    if not names:
        return
    for name, features in _features(model, inputs, names).items():
        backbone: Any = model.get_submodule(name)
        side = -1 if str(getattr(backbone, "output_fmt", "NCHW")).endswith(("NHWC", "NLC")) else 1
        for number, feature in zip(backbone.feature_info.out_indices, features, strict=False):
            backbone.feature_info.info[number]["num_chs"] = feature.shape[side]


def _tells_channels(module: nn.Module) -> bool:
    info = getattr(module, "feature_info", None)
    return hasattr(info, "out_indices") and isinstance(getattr(info, "info", None), list)


def _features(model: nn.Module, inputs: Inputs, names: list[str]) -> Mapping[str, list[Tensor]]:
    """What each of these modules gives, on shapes."""
    hollow, found = skeleton(model).eval(), dict[str, list[Tensor]]()

    def watch(name: str) -> None:
        def note(module: nn.Module, given: Any, outputs: Any) -> None:  # noqa: ARG001
            found[name] = [*(outputs.values() if isinstance(outputs, dict) else outputs)]
            if len(found) == len(names):
                raise _AllSeenError

        hollow.get_submodule(name).register_forward_hook(note)

    for name in names:
        watch(name)
    try:
        with ShapesOnly(), torch.no_grad():
            specs = specs_for(hollow, inputs)
            specs.map(lambda spec: torch.empty(spec.shape, dtype=spec.dtype, device=META)).call(hollow)
    except Exception:
        return found  # all were seen; or what comes in between needs values
    return found
