"""Programs in processes in which nothing but torch was imported: forked, as torch alone takes a start two seconds."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

SERVER = """
import json, os, sys
import torch
for line in sys.stdin:
    if not (process := os.fork()):
        break
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
else:
    sys.exit()
told = json.loads(line)
for stream, flags in enumerate((os.O_RDONLY, os.O_WRONLY, os.O_WRONLY)):
    os.dup2(os.open(told["streams"][stream], flags), stream)
sys.argv[1:], sys.path[:0] = told["arguments"], told["path"]
os.chdir(told["folder"])
exec(compile(told["program"], "<string>", "exec"), {"__name__": "__main__"})
"""
NETSLIM = "import runpy; runpy.run_module('netslim', run_name='__main__', alter_sys=True)"


class FreshPython:
    """`python -c PROGRAM ARGUMENTS`, one at a time."""

    def __init__(self, folder: Path) -> None:
        self._streams = [folder / name for name in ("in", "out", "err")]
        self._server = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(
        self, program: str, *arguments: object, folder: Path, path: Sequence[Path] = (), typed: str = ""
    ) -> "subprocess.CompletedProcess[str]":
        """Runs it in `folder`, with `path` in front of the module search path and `typed` on standard input."""
        for stream, text in zip(self._streams, (typed, "", ""), strict=True):
            stream.write_text(text)
        told = {"streams": self._streams, "path": path, "folder": folder, "program": program}
        told["arguments"] = [str(argument) for argument in arguments]
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.write(json.dumps(told, default=str) + "\n")
        self._server.stdin.flush()
        code = int(self._server.stdout.readline())
        return subprocess.CompletedProcess([], code, self._streams[1].read_text(), self._streams[2].read_text())

    def end(self) -> None:
        self._server.communicate()
