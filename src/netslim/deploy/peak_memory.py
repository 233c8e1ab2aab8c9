"""Peak memory of a network, measured in a process of its own."""

from __future__ import annotations

import gc
import multiprocessing
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import forkserver
from multiprocessing.context import BaseContext
from pathlib import Path

import torch
from torch import nn

from netslim.core.processes.allocator import give_back_at_once
from netslim.core.processes.parent import end_with_parent
from netslim.deploy.inference import Form
from netslim.deploy.opening import ENGINES, Opened, open_file

RUNS = 3
_IMPORTED = ("torch.fx.experimental.symbolic_shapes", "onnx", "onnxruntime")  # seconds; one may be missing
_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_memory(
    path: Path,
    load: Callable[[Path], nn.Module],
    engine: str,
    shape: tuple[int, ...],
    form: Form | None,
    threads: int,
    trust: bool = False,
) -> int:
    """Bytes by which a fresh process grows at most while it runs a network.

    The process opens the file and makes the network ready first; what counts is what it holds then (weights included)
    and what three runs add, less what it held before. So the libraries themselves are not in it, nor what was needed
    only to make the network ready: it goes the same way once before. It is what the network's tensors take: the holes
    that the C library leaves between them are not in it.

    Args:
        path: the file.
        load: see `open_file`; a function of a module.
        engine: what runs it.
        shape: of the input (N, C, H, W).
        form: of a checkpoint's network.
        threads: of the processor.
        trust: see `open_file`.
    """
    pool = ProcessPoolExecutor(1, mp_context=_context(), initializer=end_with_parent)
    try:
        found = pool.submit(grown, path, load, engine, shape, form, threads, trust).result()
    except BaseException:  # a signal must not wait for the process's end, nor for its beginning
        _kill_all()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()
    return found


def _context() -> BaseContext:
    """Processes forked from one that has imported the libraries once and done nothing else, where there are such."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "netslim.network", *_IMPORTED])
    with _without_ctrl_c():
        forkserver.ensure_running()
    return context


def _kill_all() -> None:
    """Ends the processes, and the one that they are forked from: one that was about to begin would find nobody."""
    for process in multiprocessing.active_children():
        process.kill()
    server = getattr(getattr(forkserver, "_forkserver", None), "_forkserver_pid", None)
    if server is not None:
        with suppress(OSError):
            os.kill(server, signal.SIGKILL)


@contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """A process that is started in here does not see Ctrl-C, which a terminal sends to all; this one sees it after."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def grown(
    path: Path,
    load: Callable[[Path], nn.Module],
    engine: str,
    shape: tuple[int, ...],
    form: Form | None,
    threads: int,
    trust: bool = False,
) -> int:
    """What `peak_memory` says, for this process."""
    torch.set_num_threads(threads)
    give_back_at_once()
    with torch.inference_mode():
        _load_libraries(engine, threads)
        images = torch.zeros(shape)
        open_file(path, load, trust).call(engine, images, form, threads)  # a traced network imports more than others
        gc.collect()
        before = _now()
        call = open_file(path, load, trust).call(engine, images, form, threads)
        gc.collect()
        _reset()
        for _ in range(RUNS):
            call()
    return max(0, _peak() - before)


def _load_libraries(engine: str, threads: int) -> None:
    """Runs a tiny network as the real one will be, so that modules and what first calls allocate are there."""
    tiny = torch.nn.Sequential(torch.nn.Conv2d(1, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.ReLU()).eval()
    images = torch.zeros(2, 1, 8, 8)
    for _ in range(2):
        Opened(Path(), ENGINES, None, None, model=tiny).call(engine, images, Form(), threads)()


def _now() -> int:
    return _status("VmRSS") or _largest_ever()


def _peak() -> int:
    return _status("VmHWM") or _largest_ever()


def _status(name: str) -> int:
    """A field of Linux' account of this process, in bytes; 0 elsewhere."""
    if not _STATUS.is_file():
        return 0
    lines = [line for line in _STATUS.read_text().splitlines() if line.startswith(f"{name}:")]
    return int(lines[0].split()[1]) * 1024 if lines else 0


def _largest_ever() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _reset() -> None:
    """Lets Linux forget the peak so far, which loading caused."""
    try:
        _RESET.write_text("5")
    except OSError:
        return
