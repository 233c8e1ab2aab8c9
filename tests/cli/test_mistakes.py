"""Command lines that can't be read: one line, with the nearest flag and where the flags are listed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from netslim.cli.mistakes import of_script
from netslim.cli.scripts import translate


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("slm", "unknown verb 'slm'; did you mean slim? (known: bench, demo,"),
        ("xx --depth 20", "unknown verb 'xx' (known: bench, demo,"),
        ("train --epohcs 3", "unknown flag --epohcs; did you mean --epochs or "),
        (
            "slim --epochs 3",
            "--epochs is a setting of single steps: type --set STEP.epochs=VALUE (STEP is dense, prune",
        ),
        ("slim --set lr=3", "lr is a setting of single steps: type --set STEP.lr=VALUE (STEP is dense, prune or tune "),
        ("slim --epohcs 3", "unknown flag --epohcs"),
        ("recipe new x --lr 3", "--lr is a setting of single steps: type --set STEP.lr=VALUE (STEP is dense, prune"),
        ("train --no-nestrov", "unknown flag --no-nestrov; did you mean --no-nesterov or "),
        ("train -epohcs 3", "unknown flag -epohcs; did you mean --epochs or "),
        ("--versoin", "unknown flag --versoin; did you mean --version? (netslim --help lists the flags)"),
        ("train --dataset", "--dataset needs a value after it (netslim train --help lists the flags)"),
        ("train --nesterov=yes", "option '--nesterov' does not take a value (netslim train --help lists the flags)"),
        ("info a b", "'b': netslim info takes no such word (netslim info --help lists the flags)"),
        ("train a b", "'a b': netslim train takes no such word (netslim train --help lists the flags)"),
    ],
)
def test_a_verbs_command_line(netslim: Callable[..., tuple[int, str, str]], line: str, message: str) -> None:
    code, out, err = netslim(*line.split())
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"netslim: error: {message}")


def test_a_file_that_looks_like_a_flag(
    netslim: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-x.pth.tar").touch()
    code, _, err = netslim("info", "-x.pth.tar")
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith("netslim: error: unknown flag -x.pth.tar; the file of that name is typed ./-x.pth.tar (")


def test_no_verb_is_help(netslim: Callable[..., tuple[int, str, str]]) -> None:
    code, out, err = netslim()
    assert code == 2
    assert (out + err).startswith("Usage: netslim [OPTIONS] COMMAND [ARGS]...")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--epohcs 3", "unknown flag --epohcs; did you mean --epochs or "),
        ("--epochs x", "--epochs: invalid int value: 'x' (main.py --help lists the flags)"),
        ("--epochs", "--epochs: expected one argument (main.py --help lists the flags)"),
        ("a b", "'a b': it takes no such word (main.py --help lists the flags)"),
    ],
)
def test_a_scripts_command_line(capsys: pytest.CaptureFixture[str], arguments: str, message: str) -> None:
    with pytest.raises(SystemExit) as ended:
        translate("main.py", arguments.split())
    err = capsys.readouterr().err
    assert (ended.value.code, err.count("\n")) == (2, 1)
    assert err.startswith(f"main.py: error: {message}")


def test_a_flag_like_no_other_has_no_nearest() -> None:
    assert (
        of_script("unrecognized arguments: --zzzzz", ["--a"], "p") == "unknown flag --zzzzz (p --help lists the flags)"
    )
