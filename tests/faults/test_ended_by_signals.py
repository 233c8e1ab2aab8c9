"""SIGTERM and Ctrl-C at any moment of every verb: one line, the right code, no litter, and the next run works."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from started_process import Started
from verb_lines import verbs

from netslim.core.processes import signals

Start = Callable[..., Started]
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
WORKING = ["train", "transfer", "prune", "sweep", "export"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("delay", [0.15, 0.4, 0.8])
def test_while_modules_are_imported(model: Path, number: signal.Signals, delay: float) -> None:
    """Whatever is being imported just then; where the process is through already, it is through."""
    line = [sys.executable, "-m", "netslim", "info", str(model)]
    with subprocess.Popen(
        line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, preexec_fn=as_in_a_terminal
    ) as process:
        time.sleep(delay)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    if process.returncode in (-number, 0):  # before the first line of netslim, or after the last
        assert not err or "Traceback" in err or process.returncode == 0
        return
    assert (process.returncode, err.count("\n")) == (CODES[number], 1), err
    assert err in ("netslim: interrupted\n", "netslim: terminated\n")


def as_in_a_terminal() -> None:
    """A shell's background jobs ignore Ctrl-C, and so would what they start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.mark.parametrize("verb", WORKING)
def test_in_the_middle_of_a_verb(verb: str, images: Path, model: Path, tmp_path: Path, start: Start) -> None:
    line = verbs(images, model, tmp_path)[verb]
    process = start(*line)
    time.sleep(random.Random(verb).uniform(0.1, 0.6))  # noqa: S311 - a moment, the same in every run
    number = signal.SIGHUP if verb == "prune" else signal.SIGTERM
    with contextlib.suppress(ProcessLookupError):  # it was quicker
        os.kill(process.pid, number)
    code = process.wait()
    assert code in (CODES[number], 0, -number), process.err
    if code == CODES[number]:
        said = [line for line in process.err.splitlines() if not line.startswith("netslim: note: ")]
        assert len(said) == 1, process.err
        assert said[0].startswith("netslim: ")
    assert not list(tmp_path.rglob(".*.tmp-*"))
    again = start(*line)
    assert again.wait() == 0, again.err


def test_an_exception_only_while_a_verb_works() -> None:
    with pytest.raises(signals.Stopped), signals.working():
        signals._handle(signal.SIGTERM, None)
    assert signals.received() == signal.SIGTERM
    signals._received.clear()
    assert signals.line(signal.SIGINT) == "netslim: interrupted"
    assert signals.line(signal.SIGHUP) == "netslim: the terminal was closed"


def test_it_is_no_exception_that_code_mends() -> None:
    assert not issubclass(signals.Stopped, Exception)
    assert not issubclass(signals.Stopped, KeyboardInterrupt)
