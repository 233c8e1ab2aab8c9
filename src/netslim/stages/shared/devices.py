"""The device that a stage works on."""

import torch

from netslim.core.errors import ArgumentError, UsageError
from netslim.core.launch import launched, local_rank

ALLOWED = "type auto, cpu, cuda or cuda:N"


def pick_device(name: str) -> torch.device:
    """`auto` (the GPU if there is one), `cpu`, `cuda` or `cuda:N`. Raises UsageError for anything else."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ArgumentError("device", name, ALLOWED) from error
    if device.type not in ("cpu", "cuda"):
        raise ArgumentError("device", name, ALLOWED)
    if device.type == "cuda" and launched():
        return _own_gpu(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ArgumentError("device", name, f"torch sees {torch.cuda.device_count()} CUDA devices; type `device='cpu'`")
    return device


def _own_gpu(name: str) -> torch.device:
    """The GPU of this process among several: the one that has its number."""
    if name != "cuda":
        raise ArgumentError(
            "device", name, "each process takes its own GPU; type `device='cuda'`, or start one process"
        )
    if local_rank() >= torch.cuda.device_count():
        raise UsageError(
            f"{local_rank() + 1} processes or more on a machine where torch sees {torch.cuda.device_count()} CUDA "
            f"devices; type torchrun --nproc-per-node {torch.cuda.device_count()}, or `device='cpu'`"
        )
    return torch.device("cuda", local_rank())
