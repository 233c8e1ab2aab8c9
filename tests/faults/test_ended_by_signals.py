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
SIGNALS = [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]  # they go the same way
WORKING = ["train", "transfer", "prune", "sweep", "export"]


SENDING = """
import atexit, os, sys

number, place = int(sys.argv.pop(1)), sys.argv.pop(1)

class Sender:
    def find_spec(self, name, path=None, target=None):
        if name == place:
            os.kill(os.getpid(), number)

sys.meta_path.insert(0, Sender())
if place == "the end":
    atexit.register(os.kill, os.getpid(), number)  # before netslim's first line, so that it is called after its last
from netslim.cli.entry import main
main()
"""


def sent(number: signal.Signals, place: str, model: Path) -> tuple[int, str]:
    """Exit code and errors of `netslim info` that is sent a signal when it begins to import a module, or at its end."""
    line = [sys.executable, "-c", SENDING, str(int(number)), place, "info", str(model)]
    done = subprocess.run(line, capture_output=True, text=True, preexec_fn=as_in_a_terminal, check=False, timeout=300)
    return done.returncode, done.stderr


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("module", ["netslim.cli.app", "pydantic", "torch", "torch.nn.modules.conv", "netslim.cost"])
def test_while_modules_are_imported(model: Path, number: signal.Signals, module: str) -> None:
    said = {signal.SIGINT: "netslim: interrupted\n", signal.SIGTERM: "netslim: terminated\n"}
    assert sent(number, module, model) == (CODES[number], said[number])


@pytest.mark.parametrize("number", SIGNALS)
def test_where_all_is_said_a_signal_changes_nothing(model: Path, number: signal.Signals) -> None:
    assert sent(number, "the end", model) == (0, "")


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
