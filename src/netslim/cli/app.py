"""The `netslim` command: one verb per stage, each made from its configuration."""

import importlib
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.core
import typer.main

from netslim.core import signals
from netslim.core.errors import NetslimError

if TYPE_CHECKING:
    from netslim.core.config import StageConfig


@dataclass(frozen=True)
class Verb:
    """A command, by the names of what it needs: nothing is imported before it is used.

    Attributes:
        folder: where in `stages/` it lives.
        config_class: its settings, in that folder's `config`.
        help: one line for `netslim --help`.
        positional: settings that are given as arguments.
        module: what runs it, in that folder.
    """

    folder: str
    config_class: str
    help: str
    positional: tuple[str, ...] = ()
    module: str = "run"

    def settings(self) -> type["StageConfig"]:
        """The class of its settings; loads no torch."""
        found: type[StageConfig] = getattr(self._load("config"), self.config_class)
        return found

    def stage(self) -> Callable[["StageConfig"], dict[str, Any]]:
        """The function that runs it."""
        found: Callable[[StageConfig], dict[str, Any]] = self._load(self.module).run
        return found

    def _load(self, module: str) -> Any:
        return importlib.import_module(f"netslim.stages.{self.folder}.{module}")


VERBS = {
    "transfer": Verb(
        "transfer", "TransferConfig", "Transfer a pretrained torchvision or timm ResNet into a prunable network."
    ),
    "train": Verb(
        "train", "TrainConfig", "Train one phase: from scratch, from a file's weights, or of a pruned network."
    ),
    "prune": Verb(
        "prune", "PruneConfig", "Remove the channels with the smallest scales and prove the result.", ("model",)
    ),
    "sweep": Verb(
        "analyze",
        "SweepConfig",
        "Show accuracy, size and speed right after pruning, over many budgets.",
        ("model",),
        "sweep",
    ),
    "sensitivity": Verb(
        "analyze",
        "SensitivityConfig",
        "Show what each layer's channels are worth, one layer at a time.",
        ("model",),
        "sensitivity",
    ),
    "evaluate": Verb("evaluate", "EvaluateConfig", "Measure the accuracy of a checkpoint.", ("model",)),
    "export": Verb(
        "export", "ExportConfig", "Make a network for inference: onnx, pt2, eager or safetensors.", ("model",)
    ),
    "bench": Verb("bench", "BenchConfig", "Measure speed and memory of networks side by side.", ("files",)),
    "info": Verb("info", "InfoConfig", "Say what a checkpoint holds.", ("model",)),
    "demo": Verb("demo", "DemoConfig", "Run the five steps on the embedded digits."),
}
Act = Callable[[Callable[[], "StageConfig"], Path | None, bool, Path | None], None]
SHOWN = 300  # characters of an unexpected error
TOGETHER = ("train",)  # several processes of torchrun work on one run; any other verb is one process


class Verbs(typer.core.TyperGroup):
    """The verbs, each assembled when it is used: `netslim --help` must not wait for what it does not show."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        """The names, in the order of the work."""
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        """The verb's command, or None."""
        if cmd_name not in VERBS:
            return None
        from netslim.cli.options import command

        verb = VERBS[cmd_name]
        single = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None, add_completion=False)
        single.command(cmd_name, help=verb.help)(command(verb.settings(), _act(cmd_name), verb.positional))
        return typer.main.get_command(single)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """The list in `--help`."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, verb.help) for name, verb in VERBS.items()])


app = typer.Typer(
    name="netslim",
    cls=Verbs,
    help="Make convolutional networks small and fast: transfer, train with sparsity, prune, fine-tune.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from netslim import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="print the version and exit")
    ] = False,
) -> None:
    pass


def _act(verb: str) -> Act:
    def act(build: Callable[[], "StageConfig"], json_file: Path | None, debug: bool, config_file: Path | None) -> None:
        with_errors(lambda: _run_stage(verb, build(), json_file, config_file), debug)

    return act


def _run_stage(verb: str, config: "StageConfig", json_file: Path | None, config_file: Path | None) -> None:
    from netslim.core.apart import Use, check_apart
    from netslim.core.files import check_writable, recover, write_json
    from netslim.core.launch import check_alone, is_first

    if verb not in TOGETHER:
        check_alone(verb)
    reads, writes = config.reads(), config.writes()
    reads += [Use(setting="config", path=config_file)] if config_file else []
    for use in (*reads, *writes):
        recover(use.path)
    check_apart(reads, [*writes, *([Use(setting="json", path=json_file)] if json_file else [])])
    json_file = json_file if is_first() else None
    if json_file:
        check_writable(json_file)
    run = VERBS[verb].stage()
    with signals.working():
        result = run(config)
        if json_file:
            write_json(json_file, result)


def with_errors(act: Callable[[], None], debug: bool) -> None:
    """Runs `act`; whatever it raises becomes one line on standard error and an exit code.

    Errors meant for the user have their own code; a signal gives 128 and its number; anything else is 1.
    """
    try:
        act()
    except (typer.Exit, BrokenPipeError):
        raise
    except (signals.Stopped, KeyboardInterrupt) as stop:
        raise _interrupted(getattr(stop, "number", signal.SIGINT)) from None
    except Exception as error:
        number = signals.received()
        if number is not None and not isinstance(error, NetslimError):  # it came out of the signal
            raise _interrupted(number) from None
        if debug:
            raise
        _complain(f"netslim: error: {_explained(error)}")
        raise typer.Exit(error.exit_code if isinstance(error, NetslimError) else 1) from error


def _interrupted(number: int) -> typer.Exit:
    _complain(signals.line(number))
    return typer.Exit(128 + number)


def _complain(text: str) -> None:
    """One line on standard error, from one of the processes that end together."""
    from netslim.core.launch import may_speak

    if may_speak():
        typer.echo(text, err=True)


def _explained(error: Exception) -> str:
    """One line for what can be mended, for what the machine refused or ran out of, and for a mistake of the program."""
    if isinstance(error, NetslimError):
        return " ".join(str(error).split())
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError) or "out of memory" in text.lower() or "can't allocate memory" in text.lower():
        return "out of memory; try a smaller --batch-size or --accumulate 2"
    if isinstance(error, OSError):
        return f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"
    shown = text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
    return f"unexpected {type(error).__name__}: {shown}; run with --debug for the traceback"


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line; exits with 0, 2 for usage errors, 1 for other errors, 130/143 when interrupted."""
    app(args=arguments if arguments is not None else sys.argv[1:], prog_name="netslim")
