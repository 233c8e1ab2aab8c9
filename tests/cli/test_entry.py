"""Where the command starts and ends: handled signals first, then the verb's own exit code."""

import os
import signal
import sys
from pathlib import Path

import pytest

from netslim.cli import app, entry, scripts
from netslim.core.processes import signals


def test_signals_are_handled_before_the_verb_works(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    monkeypatch.setattr(signals, "install", lambda: order.append("signals"))
    monkeypatch.setattr(app, "main", lambda: order.append("verb"))
    entry.main()
    assert order == ["signals", "verb"]


def test_a_stop_after_the_verb_is_one_line_and_the_code_of_the_signal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped() -> None:
        raise signals.Stopped(signal.SIGTERM)

    monkeypatch.setattr(signals, "install", lambda: None)
    monkeypatch.setattr(app, "main", stopped)
    with pytest.raises(SystemExit) as ended:
        entry.main()
    assert (ended.value.code, capsys.readouterr().err) == (143, "netslim: terminated\n")


def test_a_folder_that_is_gone_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    monkeypatch.setattr(signals, "install", lambda: None)
    monkeypatch.setattr(app, "main", lambda: None)
    with pytest.raises(SystemExit, match=r"^netslim: error: the current folder is not there any more: type cd"):
        entry.main()


@pytest.mark.parametrize(
    ("processes", "code", "at_once"), [("2", 3, [3]), ("2", "lost", [1]), ("2", 0, []), ("2", None, []), ("1", 3, [])]
)
def test_one_of_several_processes_that_fails_waits_for_no_other(
    processes: str, code: int | str | None, at_once: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    codes: list[int] = []
    monkeypatch.setenv("WORLD_SIZE", processes)
    monkeypatch.setattr(signals, "install", lambda: None)
    monkeypatch.setattr(os, "_exit", codes.append)
    monkeypatch.setattr(app, "main", lambda: sys.exit(code))
    with pytest.raises(SystemExit) as ended:
        entry.main()
    assert (codes, ended.value.code) == (at_once, code)


def test_a_script_is_the_one_that_is_named_or_called(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    monkeypatch.setattr(signals, "install", lambda: None)
    monkeypatch.setattr(scripts, "run", started.append)
    monkeypatch.setattr(sys, "argv", ["/usr/bin/netslim-transfer-weights"])
    entry.script("main.py")
    entry.installed_script()
    assert started == ["main.py", "transfer_weights.py"]


@pytest.mark.parametrize(("given", "found"), [(None, "1"), ("0", "0")])
def test_onnx_runtime_counts_no_users_unless_somebody_says_so(
    monkeypatch: pytest.MonkeyPatch, given: str | None, found: str
) -> None:
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "")  # so that it is put back
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY")
    if given is not None:
        monkeypatch.setenv("ORT_DISABLE_TELEMETRY", given)
    monkeypatch.setattr(signals, "install", lambda: None)
    monkeypatch.setattr(app, "main", lambda: None)
    entry.main()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == found
