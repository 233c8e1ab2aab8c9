import platform
import resource
from pathlib import Path

import pytest

from fresh_python import FreshPython

TENSORS = 20
TRIAL = f"""
import resource
import torch
from netslim.core.processes.allocator import keep_freed_memory
assert keep_freed_memory()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range({TENSORS}):
    torch.ones(8, 1024, 1024)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's settings")
def test_most_memory_is_used_again(fresh_python: FreshPython, tmp_path: Path) -> None:
    """Tensors of 32 MiB, one after the other: by default nearly every one gets new pages, which have to be cleared."""
    faults = int(fresh_python(TRIAL, folder=tmp_path).stdout)
    pages = 32 * 1024**2 // resource.getpagesize()
    assert faults < TENSORS * pages / 2
