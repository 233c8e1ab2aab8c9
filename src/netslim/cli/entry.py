"""Where the command and the root's scripts start: signals are handled before anything heavy is imported."""

import os
import sys
from collections.abc import Callable

from netslim.core.launch import is_first, launched
from netslim.core.processes import signals


def main() -> None:
    """`netslim ...` with the process's arguments."""
    signals.install()
    from netslim.cli.app import main as netslim

    _to_the_end(netslim)


def script(name: str) -> None:
    """One of the guide's scripts with the process's arguments."""
    signals.install()
    from netslim.cli.scripts import run

    _to_the_end(lambda: run(name))


def installed_script() -> None:
    """The guide's script that the process is called after (`netslim-main`), with the process's arguments."""
    signals.install()
    from netslim.cli.scripts import run_installed

    _to_the_end(run_installed)


def _to_the_end(act: Callable[[], None]) -> None:
    # else ONNX Runtime keeps a number of this machine in the home folder, and complains where it cannot
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        _check_folder()
        act()
    except SystemExit as ended:
        if launched() and ended.code:  # what torch puts away at the end would wait for the processes that are lost
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(ended.code if isinstance(ended.code, int) else 1)
        raise
    except signals.Stopped as stop:  # between a verb's own end and this line
        if is_first():
            print(signals.line(stop.number), file=sys.stderr)  # noqa: T201
        sys.exit(128 + stop.number)


def _check_folder() -> None:
    """Ends with a line where the current folder was removed: the libraries under torch end without one."""
    try:
        os.getcwd()  # noqa: PTH109 - of a Path there is no need
    except OSError:
        sys.exit("netslim: error: the current folder is not there any more: type cd and a folder that is")
