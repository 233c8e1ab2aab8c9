"""A command line in a process of its own, which can be killed, interrupted and starved of disk."""

import os
import resource
import runpy
import signal
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path

ROOT = Path(__file__).parents[2]


class Started:
    """A command line in a process of its own, with its output in files."""

    def __init__(self, process: BaseProcess, log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def wait(self) -> int:
        self.process.join(60)
        assert self.process.exitcode is not None, "still running after a minute"
        return self.process.exitcode

    @property
    def out(self) -> str:
        return self._log.with_suffix(".out").read_text()

    @property
    def err(self) -> str:
        return self._log.with_suffix(".err").read_text()


def usual_signals() -> None:
    """What a command in a terminal finds: a shell that starts the tests in the background has SIGINT ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def command_line(arguments: list[str], log: Path, cwd: Path, largest_file: int | None) -> None:
    """Runs in the new process: `netslim ARGUMENTS`, or one of the root's scripts if the first one is its name."""
    usual_signals()
    for stream, suffix in ((1, ".out"), (2, ".err")):
        target = os.open(log.with_suffix(suffix), os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        os.dup2(target, stream)
    os.chdir(cwd)
    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    script = ROOT / arguments[0]
    if arguments[0].endswith(".py"):
        sys.argv = arguments
        runpy.run_path(str(script), run_name="__main__")
    else:
        sys.argv = ["netslim", *arguments]
        runpy.run_module("netslim", run_name="__main__")
