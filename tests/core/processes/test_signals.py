"""What a signal does to a process of its own: before a verb works, while it works, and the second time."""

import os
import signal
import subprocess
import sys

import pytest

START = """
import os, signal, time
from netslim.core.processes import signals
for number in signals.SIGNALS:
    signal.signal(number, signal.SIG_DFL)
signals.install()
"""
AGAIN = """
with signals.working():
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    except signals.Stopped:
        print("stopped", signals.received(), flush=True)
        os.kill(os.getpid(), signal.SIGINT)
    time.sleep(30)
"""
DESTRUCTOR = """
class Dying:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)

with signals.working():
    try:
        Dying()
        time.sleep(30)
    except signals.Stopped as stop:
        print("stopped", stop.number)
"""
IGNORED = """
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
signals.install()
os.kill(os.getpid(), signal.SIGINT)
print("alive", flush=True)
os.kill(os.getpid(), signal.SIGTERM)
"""
AT_THE_END = """
class PutAway:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)

last = PutAway()
print("done")
"""
NOT_WORKING = "os.kill(os.getpid(), signal.SIGINT)"


@pytest.mark.parametrize(
    ("rank", "code", "ended", "out", "err"),
    [
        ("0", NOT_WORKING, 130, "", "netslim: interrupted\n"),
        ("1", NOT_WORKING, 130, "", ""),
        ("0", AGAIN, 130, "stopped 15\n", "netslim: interrupted\n"),
        ("0", IGNORED, 143, "alive\n", "netslim: terminated\n"),
        ("0", AT_THE_END, 0, "done\n", ""),
        pytest.param(
            "0",
            DESTRUCTOR,
            0,
            "stopped 15\n",
            "",
            marks=pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers"),
        ),
    ],
    ids=[
        "not working",
        "not the first process",
        "the second signal",
        "ignored from the start",
        "after the last word",
        "in a destructor",
    ],
)
def test_a_signal_ends_the_process_or_the_work(rank: str, code: str, ended: int, out: str, err: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", START + code],
        env={**os.environ, "RANK": rank},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (ended, out, err)
