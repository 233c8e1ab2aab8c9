"""Which integers a processor gets."""

import pytest

from netslim.deploy.int8.processor import integers


@pytest.mark.parametrize(
    ("machine", "capabilities", "expected"),
    [
        ("x86_64", {"avx512_vnni": True}, "U8S8"),
        ("AMD64", {"avx_vnni": True, "avx512_vnni": False}, "U8S8"),
        ("x86_64", {"avx2": True}, "U8S8, weights of 7 bits"),
        ("x86_64", {}, "U8S8, weights of 7 bits"),
        ("aarch64", {}, "S8S8"),
        ("arm64", {"avx512_vnni": False}, "S8S8"),
    ],
)
def test_integers(machine: str, capabilities: dict[str, bool], expected: str) -> None:
    assert str(integers(machine, capabilities)) == expected


def test_this_machine_has_some() -> None:
    assert integers().activations in ("QUInt8", "QInt8")
