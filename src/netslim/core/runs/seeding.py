"""Randomness keyed on what it is for, so that it does not depend on what ran before."""

import hashlib
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch


def derive_seed(*parts: int | str) -> int:
    """A 63-bit seed that depends on all parts: the same for the same parts, on every machine."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def seed_torch(*parts: int | str) -> None:
    """Seeds torch's generators on all devices with `derive_seed(*parts)`."""
    _seed(derive_seed(*parts), others=torch.accelerator.is_available())


def seed_devices_in_use(seed: int) -> None:
    """As `torch.manual_seed`, without devices that may be used later."""
    used = torch.cuda.is_initialized() or torch.xpu.is_initialized()  # type: ignore[no-untyped-call]
    _seed(seed, others=used or torch.mps.is_available())


@contextmanager
def drawing_alike(devices: Sequence[torch.device] = ()) -> Iterator[None]:
    """What a network draws inside is always the same, of whatever generator: torch's, NumPy's or Python's own.

    After it they are as before: torch's of the CPU and of these devices.
    """
    before, old = np.random.get_state(), random.getstate()
    try:
        with torch.random.fork_rng(devices):
            seed_devices_in_use(0)
            np.random.seed(0)
            random.seed(0)
            yield
    finally:
        np.random.set_state(before)
        random.setstate(old)


def _seed(seed: int, *, others: bool) -> None:
    """For devices that are not there `torch.manual_seed` still notes its caller's stack, which takes 0.15 ms."""
    (torch.manual_seed if others else torch.default_generator.manual_seed)(seed)
