"""What goes into a log: full width, no markup, one line for each thing worth one."""

import contextlib
import os
import sys

import pytest

from netslim.report.console import console, say, spelling


def test_a_log_is_160_columns_wide_whatever_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert not console().is_terminal
    assert console().width == 160
    say("x" * 500)
    assert capsys.readouterr().out == "x" * 500 + "\n"


def test_brackets_and_colons_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    say("[bold]a[/bold] :smile: [0, 1]")
    assert capsys.readouterr().out == "[bold]a[/bold] :smile: [0, 1]\n"


def test_lines_are_spelled_as_whoever_shows_them_says(capsys: pytest.CaptureFixture[str]) -> None:
    with spelling(str.upper):
        say("type `lr`")
    say("type `lr`")
    assert capsys.readouterr().out == "TYPE `LR`\ntype `lr`\n"


def test_a_reader_that_has_left_is_the_pipes_own_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of which the command makes a quiet end (`| head`)."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        with pytest.raises(BrokenPipeError):
            say("a line")
        with contextlib.suppress(BrokenPipeError):
            stream.close()
