"""Which 8-bit integers a processor multiplies fast, and without overflow."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from typing import Any

import torch

_VNNI = ("avx512_vnni", "avx_vnni")


@dataclass(frozen=True, kw_only=True)
class Integers:
    """Kinds of numbers.

    Attributes:
        activations: unsigned or not: `QUInt8` or `QInt8`.
        seven_bits: whether weights have 7 bits: instructions before VNNI add two products in 16 bits.
    """

    activations: str
    seven_bits: bool

    def __str__(self) -> str:
        return f"{'U8S8' if self.activations == 'QUInt8' else 'S8S8'}{', weights of 7 bits' if self.seven_bits else ''}"


def integers(machine: str | None = None, capabilities: dict[str, Any] | None = None) -> Integers:
    """Those that ONNX Runtime's kernels are made for on a processor; default: this one.

    Args:
        machine: as `platform.machine` calls it.
        capabilities: as `torch.cpu.get_capabilities` gives them; a processor that is not known has none.
    """
    machine = machine or platform.machine()
    if machine.lower() in ("x86_64", "amd64", "i386", "i686"):
        known = getattr(torch.cpu, "get_capabilities", dict)() if capabilities is None else capabilities
        return Integers(activations="QUInt8", seven_bits=not any(known.get(name) for name in _VNNI))
    return Integers(activations="QInt8", seven_bits=False)
