"""The stack for signals stays what it was, whoever installs another meanwhile."""

import ctypes
import subprocess
import sys
import textwrap

import pytest

from installed import needs
from netslim.deploy.formats.signal_stack import _Stack, signal_stack_kept

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the layout is Linux's")


def stack() -> tuple[int | None, int, int]:
    found = _Stack()
    ctypes.CDLL(None).sigaltstack(None, ctypes.byref(found))
    return found.start, found.flags, found.size


def test_another_stack_is_gone_afterwards() -> None:
    before, memory = stack(), ctypes.create_string_buffer(1 << 16)
    other = _Stack(ctypes.addressof(memory), 0, 1 << 16)
    with signal_stack_kept():
        ctypes.CDLL(None).sigaltstack(ctypes.byref(other), None)
        assert stack() == (ctypes.addressof(memory), 0, 1 << 16)
    assert stack() == before


def test_signals_are_handled_after_two_models_of_openvino_are_gone() -> None:
    needs("openvino")
    program = textwrap.dedent(
        """
        import gc, signal, torch
        from netslim.deploy.formats.openvino_runtime import openvino_function
        from netslim.deploy.inference import for_inference
        from netslim.deploy.targets.onnx import onnx_bytes

        signal.signal(signal.SIGUSR1, lambda *_: print("handled"))
        network, images = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU()).eval(), torch.zeros(2, 3, 6, 6)
        content = onnx_bytes(for_inference(network, images), images)
        first, second = (openvino_function(content, 1) for _ in range(2))
        del first
        gc.collect()
        del second
        gc.collect()
        signal.raise_signal(signal.SIGUSR1)
        """
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "handled\n"), done.stderr
