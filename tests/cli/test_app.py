"""What the command says, on which stream, and with which exit code."""

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from netslim import __version__
from netslim.cli.app import _notices, with_errors
from netslim.cli.options import command
from netslim.cli.verbs import VERBS
from netslim.core import launch
from netslim.core.config import StageConfig
from netslim.core.errors import NetslimError, NetslimWarning, UsageError
from netslim.core.processes import signals
from netslim.network import load
from netslim.stages.evaluate.config import EvaluateConfig
from netslim.stages.prune.config import PruneConfig
from netslim.stages.train.config import TrainConfig
from netslim.stages.transfer.config import TransferConfig

Netslim = Callable[..., Any]
TINY = ["--dataset", "folder", "--depth", 11, "--batch-size", 8, "--device", "cpu", "--precision", "fp32"]


def test_help_lists_every_verb(netslim: Netslim) -> None:
    for flag in ("-h", "--help"):
        code, out, err = netslim(flag)
        assert (code, err) == (0, "")
        assert out.startswith("Usage: netslim [OPTIONS] COMMAND [ARGS]...")
        assert all(f"  {verb} " in out for verb in VERBS)


@pytest.mark.parametrize("verb", list(VERBS))
def test_help_of_a_verb_has_every_setting_with_its_default(netslim: Netslim, verb: str) -> None:
    code, out, _ = netslim(verb, "-h")
    assert code == 0
    for field in VERBS[verb].stage.settings().model_fields:
        assert (field.upper() if field in VERBS[verb].positional else f"--{field.replace('_', '-')}") in out
    assert all(flag in out for flag in ("--config", "--set", "--json", "--debug"))


@pytest.mark.parametrize(
    ("verb", "some"),
    [
        ("train", {"Data", "Network", "Penalty", "Teacher", "Optimisation"}),
        ("transfer", {"Source", "Network", "Mapping"}),
        ("prune", {"Data", "Budget", "Channels", "Rounds"}),
        ("slim", {"Data", "Network", "Budget", "Plan", "Fan-out"}),
    ],
)
def test_a_long_help_has_sections(netslim: Netslim, verb: str, some: set[str]) -> None:
    lines = netslim(verb, "--help").out.splitlines()
    headings = [line.removesuffix(":") for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert some <= set(headings)
    assert headings[-2:] == ["Run", "Options"]


def test_a_short_help_has_none(netslim: Netslim) -> None:
    assert "Network:" not in netslim("info", "--help").out


def test_help_of_a_verb_loads_no_torch() -> None:
    program = (
        "import sys\nfrom netslim.cli.app import main\n"
        "for verb in ('train', 'slim', 'recipe'):\n"
        "    try:\n        main([verb, '--help'])\n    except SystemExit:\n        pass\n"
        "print([name for name in ('torch', 'numpy', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]"


def test_help_shows_aliases_and_defaults(netslim: Netslim) -> None:
    out = " ".join(netslim("train", "--help").out.split())
    assert "-sr" in out
    assert "--wd" in out
    assert "[default: 160]" in out


def test_version(netslim: Netslim) -> None:
    assert netslim("--version") == (0, f"{__version__}\n", "")


def test_help_imports_nothing_heavy() -> None:
    """In a process of its own: what the tests import does not count."""
    heavy = ("torch", "pydantic", "numpy", "matplotlib")
    program = (
        "import sys\nfrom netslim.cli.app import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        f"sys.exit(sum(2**i for i, name in enumerate({heavy!r}) if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, [name for i, name in enumerate(heavy) if done.returncode >> i & 1]
    assert "train" in done.stdout


def complete(words: str, number: int) -> list[str]:
    environment = {**os.environ, "_NETSLIM_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(number)}
    line = [sys.executable, "-m", "netslim"]
    done = subprocess.run(line, env=environment, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.split()


def test_completion_of_verbs_and_flags() -> None:
    assert complete("netslim ", 1) == list(VERBS)
    assert complete("netslim tr", 1) == ["transfer", "train"]
    assert "--epochs" in complete("netslim train --ep", 2)


def test_the_completion_script_is_for_netslim() -> None:
    environment = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    line = [sys.executable, "-m", "netslim", "--show-completion", "bash"]
    done = subprocess.run(line, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert "_NETSLIM_COMPLETE=complete_bash" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["prune"], 2, "MODEL is required: name a checkpoint file"),
        (["info", "missing.pth.tar"], 1, "no such checkpoint file: missing.pth.tar"),
        (["info", ""], 2, "MODEL '': input should be a path (this folder is .)"),
        (["info", "x.pth.tar", "--json", ""], 2, "--json '': it is empty; type --json result.json"),
        (
            ["train", "--depth", "11", "--dataset", "nosuch.py:f", "--save", "run"],
            1,
            "no such file of code, given as --dataset: nosuch.py",
        ),
        (["prune", "x", "--percent", "1"], 2, "--percent 1"),
        (["train", "--depth", "11", "--dataset", "digit"], 2, "unknown data set 'digit'; did you mean digits?"),
        (
            ["train", "--depth", "12", "--dataset", "digit"],
            2,
            "--depth 12: the depth of a bottleneck ResNet is 9n+2; the nearest is 11 or 20",
        ),
        (
            ["train", "--arch", "resnext"],
            2,
            "unknown architecture 'resnext'; did you mean timm/resnext",
        ),
        (
            ["train", "--epochs", "0", "--lr", "-1"],
            2,
            "--epochs 0: input should be greater than or equal to 1; --lr -1: input should be greater than 0",
        ),
        (["train", "--set", "epohcs=3"], 2, "unknown setting 'epohcs'; did you mean epochs"),
        (["train", "--set", "epochs"], 2, "--set takes key=value, got 'epochs'; type for example --set lr=0.05"),
        (
            ["train", "--config", "missing.toml"],
            2,
            "cannot read the config file missing.toml: No such file or",
        ),
        (["train", "--epochs", "three"], 2, "--epochs three: input should be a valid integer"),
        (
            ["prune", "x", "--percent", "50%", "--min-channels", "-1"],
            2,
            "--percent 50%: input should be a valid number, unable to parse string as a number; type 0.5; --min",
        ),
        (["train", "--device", "gpu"], 2, "--device gpu: type auto, cpu, cuda or cuda:N"),
    ],
)
def test_an_error_is_one_line(
    netslim: Netslim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, line: str
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = netslim(*arguments)
    assert ended.code == code
    assert ended.err.startswith(f"netslim: error: {line}")
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize("arguments", [["info", "missing.pth.tar"], ["train", "--set", "epohcs=3"]])
def test_with_debug_it_is_a_traceback(netslim: Netslim, arguments: list[str]) -> None:
    from netslim.cli.app import main
    from netslim.core.errors import NetslimError

    with pytest.raises(NetslimError):
        main([*arguments, "--debug"])


TRAIN = ("batch_size", "image_size", "accumulate")  # settings that memory grows with


def test_out_of_memory_names_what_the_verb_has(capsys: pytest.CaptureFixture[str]) -> None:
    import typer

    def act() -> None:
        raise MemoryError

    for settings, line in (((), "out of memory\n"), (("pad",), "out of memory; try a smaller --pad\n")):
        with pytest.raises(typer.Exit):
            with_errors(act, debug=False, settings=settings)
        assert capsys.readouterr().err == f"netslim: error: {line}"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (MemoryError(), "out of memory; try a smaller --batch-size, a smaller --image-size or --accumulate 2"),
        (RuntimeError("CUDA out of memory. Tried to allocate"), "out of memory; try a smaller --batch-size"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "out of memory; "),
        (PermissionError(13, "Permission denied", "/x/y"), "Permission denied: /x/y"),
        (OSError("odd"), "odd"),
    ],
)
def test_what_the_machine_refuses_is_one_line_too(
    error: Exception, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    import typer

    def act() -> None:
        raise error

    with pytest.raises(typer.Exit) as ended:
        with_errors(act, debug=False, settings=TRAIN)
    assert ended.value.exit_code == 1
    assert capsys.readouterr().err.startswith(f"netslim: error: {line}")
    with pytest.raises(type(error)):
        with_errors(act, debug=True)


def test_a_mistake_of_the_program_is_one_line_and_a_traceback_on_demand(capsys: pytest.CaptureFixture[str]) -> None:
    import typer

    def act() -> None:
        raise RuntimeError("shapes\ndiffer")

    with pytest.raises(typer.Exit) as ended:
        with_errors(act, debug=False)
    assert ended.value.exit_code == 1
    assert capsys.readouterr().err == (
        "netslim: error: unexpected RuntimeError: shapes differ; run with --debug for the traceback\n"
    )
    with pytest.raises(RuntimeError, match="shapes"):
        with_errors(act, debug=True)


def test_an_error_that_was_made_of_a_signal_is_the_signal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signals, "_received", [15])

    def act() -> None:
        try:
            raise RuntimeError("while a class was made") from signals.Stopped(15)
        except RuntimeError as error:
            raise NetslimError("it could not be drawn") from error

    with pytest.raises(typer.Exit) as ended:
        with_errors(act, debug=False)
    assert ended.value.exit_code == 143
    assert capsys.readouterr().err == "netslim: terminated\n"


def test_code_of_the_users_own_that_exits_ends_in_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    import typer

    with pytest.raises(typer.Exit) as ended:
        with_errors(lambda: sys.exit(0), debug=False)
    assert ended.value.exit_code == 1
    assert capsys.readouterr().err.startswith("netslim: error: unexpected SystemExit: 0")


def test_ctrl_c_before_there_is_anything_to_save(capsys: pytest.CaptureFixture[str]) -> None:
    import typer

    def act() -> None:
        raise KeyboardInterrupt

    with pytest.raises(typer.Exit) as ended:
        with_errors(act, debug=False)
    assert ended.value.exit_code == 130
    assert capsys.readouterr().err == "netslim: interrupted\n"


def built(config_class: type[StageConfig], *arguments: object, positional: tuple[str, ...] = ()) -> Any:
    """The configuration that a command line ends in."""
    import typer

    seen: list[StageConfig] = []
    single = typer.Typer(pretty_exceptions_enable=False)
    single.command()(command(config_class, lambda build, *_: seen.append(build()), positional))
    single([str(argument) for argument in arguments], standalone_mode=False)
    return seen[0]


def test_flags_go_before_assignments_before_the_file_before_defaults(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text('lr = 0.3\nepochs = 7\nbatch-size = 5\nsave = "there"\n')
    config = built(TrainConfig, "--config", file, "--set", "lr=0.2", "--set", "epochs=8", "--lr", "0.1")
    assert (config.lr, config.epochs, config.batch_size, config.momentum) == (0.1, 8, 5, 0.9)
    assert config.save == Path("there")


def test_a_flag_can_switch_off_what_the_file_switches_on(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text("sparsity_regularization = true\nnesterov = true\n")
    config = built(TrainConfig, "--config", file, "--no-sparsity-regularization")
    assert (config.sparsity_regularization, config.nesterov) == (False, True)
    assert built(TrainConfig, "-sr").sparsity_regularization


def test_mistakes_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    for text, message in (("lr = ", "is not valid TOML: "), ("lrr = 1", "unknown setting 'lrr'; did you mean lr")):
        file.write_text(text)
        with pytest.raises(UsageError) as error:
            built(TrainConfig, "--config", file)
        assert message in str(error.value)


def test_the_model_may_come_from_the_file(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text('model = "m.pth.tar"\npercent = 0.3\n')
    config = built(PruneConfig, "--config", file, positional=("model",))
    assert (config.model, config.percent) == (Path("m.pth.tar"), 0.3)
    assert built(PruneConfig, "n.pth.tar", "--config", file, positional=("model",)).model == Path("n.pth.tar")


@pytest.mark.parametrize("config_class", [TrainConfig, TransferConfig])
def test_without_arguments_the_defaults_hold(config_class: type[StageConfig]) -> None:
    assert built(config_class) == config_class()


def test_an_alias_is_the_flag() -> None:
    assert built(TrainConfig, "--wd", "0.5").weight_decay == 0.5
    assert built(EvaluateConfig, "m", positional=("model",)).model == Path("m")


def test_json_has_what_was_printed(netslim: Netslim, folder: Path, checkpoint: Path, tmp_path: Path) -> None:
    """For each verb, chained: what one writes the next one reads."""
    transferred, data = tmp_path / "transferred.pth.tar", ["--data-dir", folder]
    source = ["--model-name", "resnet18", "--no-pretrained", "--num-classes", 2, "--in-channels", 1]
    commands: dict[str, list[object]] = {
        "transfer": ["--dataset", "folder", *source, "--depth", 11, "--output", transferred],
        "train": [*TINY, *data, "--resume", transferred, "--epochs", 1, "--save", tmp_path / "run"],
        "prune": [tmp_path / "run/model_best.pth.tar", *data, "--percent", 0.3, "--save", tmp_path / "pruned"],
        "evaluate": [tmp_path / "pruned/pruned.pth.tar", *data],
        "info": [tmp_path / "pruned/pruned.pth.tar"],
    }
    results = {}
    for verb, arguments in commands.items():
        ended = netslim(verb, *arguments, "--json", tmp_path / f"{verb}.json")
        assert (ended.code, ended.err.count("\n")) == (0, int(verb == "train")), ended.err
        assert verb != "train" or ended.err.startswith("netslim: note: 2 batches are too few for BatchNorms'")
        results[verb] = json.loads((tmp_path / f"{verb}.json").read_text())
    assert results["train"]["file"] == str(tmp_path / "run/model_best.pth.tar")
    assert results["prune"]["params"] == results["evaluate"]["params"] == results["info"]["params"]
    assert results["evaluate"]["top1"] == results["prune"]["top1"]
    assert results["info"]["cfg"] == load(tmp_path / "pruned/pruned.pth.tar").cfg


def test_a_json_file_that_can_not_be_written_is_known_before_the_work(
    netslim: Netslim, checkpoint: Path, tmp_path: Path
) -> None:
    code, out, err = netslim("info", checkpoint, "--json", tmp_path)
    assert (code, out) == (1, "")
    assert err == f"netslim: error: cannot write {tmp_path}: it is a folder; nothing was changed\n"


def test_settings_that_change_nothing_are_told(netslim: Netslim, checkpoint: Path, tmp_path: Path) -> None:
    settings = ["--image-size", 8, "--target", "safetensors", "--output", tmp_path / "small"]
    note = "netslim: note: --dataset digits: it changes nothing without 8-bit integers; type --int8, too\n"
    assert netslim("export", checkpoint, *settings, "--dataset", "digits")[::2] == (0, note)
    assert netslim("export", checkpoint, *settings)[::2] == (0, "")


def test_only_training_is_several_processes(netslim: Netslim, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    code, _, err = netslim("prune", "m.pth.tar")
    assert (code, err) == (
        2,
        "netslim: error: netslim prune is one process: type it without torchrun (netslim train can be several)\n",
    )


@pytest.mark.parametrize("rank", [0, 1])
def test_of_several_processes_the_first_one_notes_and_the_first_to_fail_says_why(
    rank: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Notes leave the word to the error that comes after them."""

    class Counter:
        count = 0

        def add(self, _: str, amount: int, /) -> int:
            self.count += amount
            return self.count

    def fail() -> None:
        raise UsageError("wrong")

    monkeypatch.setattr(launch, "_shared", [Counter()])
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", str(rank))
    with _notices():
        for note in ("one", "two"):
            warnings.warn(note, NetslimWarning, stacklevel=1)
        with pytest.raises(typer.Exit):
            with_errors(fail, debug=False)
    notes = ["netslim: note: one", "netslim: note: two"] if rank == 0 else []
    assert capsys.readouterr().err.splitlines() == [*notes, "netslim: error: wrong"]
