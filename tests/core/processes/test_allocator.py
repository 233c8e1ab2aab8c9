import platform
import resource
import subprocess
import sys
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


EXACT = """
import re, torch
from netslim.core.processes.allocator import give_back_at_once
held = lambda: int(re.search(r"VmRSS:\\s+(\\d+)", open("/proc/self/status").read())[1])
assert give_back_at_once()
torch.ones(8, 1024, 1024)
before = held()
for kilobytes in (1000, 30000, 2000):  # by default what was freed once makes room in a heap that stays
    torch.ones(kilobytes, 256)
kept = torch.ones(4000, 256)
print(held() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc" or platform.system() != "Linux", reason="glibc's settings")
def test_what_is_freed_is_given_back_at_once() -> None:
    """4,000 KiB are held at the end; not the 30,000 that came before."""
    assert 3_900 <= int(subprocess.check_output([sys.executable, "-c", EXACT], text=True)) <= 5_000
