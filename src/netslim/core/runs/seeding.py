"""Randomness keyed on what it is for, so that it does not depend on what ran before."""

import hashlib

import torch


def derive_seed(*parts: int | str) -> int:
    """A 63-bit seed that depends on all parts: the same for the same parts, on every machine."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def seed_torch(*parts: int | str) -> None:
    """Seeds torch's generators on all devices with `derive_seed(*parts)`."""
    torch.manual_seed(derive_seed(*parts))


def seed_devices_in_use(seed: int) -> None:
    """As `torch.manual_seed`, which also notes the stack of its caller, for each device that may be used later."""
    in_use = torch.cuda.is_initialized() or torch.xpu.is_initialized() or torch.mps.is_available()  # type: ignore[no-untyped-call]
    (torch.manual_seed if in_use else torch.default_generator.manual_seed)(seed)
