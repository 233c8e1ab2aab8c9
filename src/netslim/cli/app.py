"""The `netslim` command: one verb per stage, each made from its configuration."""

import io
import signal
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.core
import typer.main

from netslim.cli.flags import spelled
from netslim.cli.mistakes import of_verb
from netslim.cli.next_command import command, say_next
from netslim.cli.verbs import TOGETHER, VERBS, Verb
from netslim.core.errors import NetslimError, NetslimWarning, UsageError, either, unknown_name
from netslim.core.processes import signals

if TYPE_CHECKING:
    from netslim.core.config import StageConfig


Act = Callable[[Callable[[], "StageConfig"], Path | None, bool, Path | None], None]
_OF_MEMORY = (
    "batch_size",
    "test_batch_size",
    "batch_sizes",
    "image_size",
    "pad",
    "reconstruct",
)  # settings it grows with
_PATIENCE = 10.0  # seconds in which the first of several processes says what is wrong for all
SHOWN = 300  # characters of an unexpected error


class Verbs(typer.core.TyperGroup):
    """The verbs, each assembled when it is used: `netslim --help` must not wait for what it does not show."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        """The names, in the order of the work."""
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        """The verb's command, or None."""
        if cmd_name not in VERBS:
            return None
        from netslim.cli.options import Sections, command

        verb = VERBS[cmd_name]
        single = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None, add_completion=False)
        single.command(cmd_name, cls=Sections, help=verb.help)(
            command(verb.stage.settings(), _act(cmd_name), verb.positional)
        )
        return typer.main.get_command(single)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The verb that was typed; one that there is not is refused with the nearest."""
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            ctx.fail(str(unknown_name("verb", args[0], VERBS)))
        return super().resolve_command(ctx, args)

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
        with_errors(
            lambda: _run_stage(verb, build(), json_file, config_file), debug, VERBS[verb].stage.settings().model_fields
        )

    return act


def _run_stage(verb: str, config: "StageConfig", json_file: Path | None, config_file: Path | None) -> None:
    from netslim.core.files import check_writable, recover, write_json
    from netslim.core.launch import check_launch, is_first, launched
    from netslim.core.overwrites import Use, check_apart
    from netslim.report.console import spelling
    from netslim.report.page.commands import commands_spelled

    check_launch()
    if launched() and verb not in TOGETHER:
        raise UsageError(f"netslim {verb} is one process: type it without torchrun (netslim train can be several)")
    config = _with_weights(config, VERBS[verb])
    reads, writes = config.reads(), config.writes()
    for use in (*reads, *writes):
        recover(use.path)
    settings = [Use(setting="config", path=config_file)] if config_file else []
    check_apart([*config.keeps(), *settings], [*writes, *([Use(setting="json", path=json_file)] if json_file else [])])
    json_file = json_file if is_first() else None
    if json_file:
        check_writable(json_file)
    with _printed_beside(json_file):
        with spelling(spelled), commands_spelled(command), _notices(), signals.working():
            for note in config.notes():
                warnings.warn(note, NetslimWarning, stacklevel=1)
            result = VERBS[verb].stage.run(config)
            if json_file:
                write_json(json_file, result)
        if is_first():
            say_next(verb, config, result)


def _printed_beside(json_file: Path | None) -> AbstractContextManager[Any]:
    """Inside, what is printed for people goes to standard error, if the data goes to standard output."""
    from netslim.core.streams import is_standard_output

    return redirect_stdout(sys.stderr) if json_file and is_standard_output(json_file) else nullcontext()


def _with_weights(config: "StageConfig", verb: Verb) -> "StageConfig":
    """Names of published networks stand for their folders, and folders of the target safetensors for their weights."""
    given = {use.setting: use.path for use in config.reads() if isinstance(getattr(config, use.setting), Path)}
    given = {name: path for name, path in given.items() if not path.is_file()}
    if not given:
        return config
    from netslim.core.safetensors_folder import CONFIG, WEIGHTS
    from netslim.models.published import folder_of, is_published

    folders = {name: folder_of(path) if is_published(path) else path for name, path in given.items()}
    found = {name: folder for name, folder in folders.items() if (folder / CONFIG).is_file()}
    if not verb.takes_folders:
        found = {name: folder / WEIGHTS for name, folder in found.items()}
    return config.model_copy(update=found)


@contextmanager
def _notices() -> Iterator[None]:
    """What the library warns of is one line on standard error, once each, said by the first of several processes."""
    from netslim.core.launch import is_first

    def show(message: Warning | str, category: type[Warning], *rest: Any, **named: Any) -> None:
        if issubclass(category, NetslimWarning):
            if is_first():
                _say_on_stderr(f"netslim: note: {spelled(str(message))}")
        else:
            usual(message, category, *rest, **named)

    with warnings.catch_warnings():
        usual = warnings.showwarning
        warnings.simplefilter("default", NetslimWarning)
        warnings.filterwarnings("ignore", module=r"PIL\.")  # odd notes in images, also of those read while it trains
        warnings.showwarning = show
        yield


def with_errors(act: Callable[[], None], debug: bool, settings: Iterable[str] = ()) -> None:
    """Runs `act`, which has these settings; whatever it raises becomes one line on standard error and an exit code.

    Errors meant for the user have their own code; a signal gives 128 and its number; anything else is 1.
    """
    try:
        act()
    except (typer.Exit, BrokenPipeError):
        raise
    except (signals.Stopped, KeyboardInterrupt) as stop:
        raise _interrupted(getattr(stop, "number", signal.SIGINT)) from None
    except (Exception, SystemExit) as error:  # nothing but code of the user's own calls sys.exit in here
        number = signals.received()
        if number is not None and (not isinstance(error, NetslimError) or _was_stopped(error)):  # out of the signal
            raise _interrupted(number) from None
        if debug:
            raise
        _complain(f"netslim: error: {spelled(_explained(error, settings))}", patience=_PATIENCE)
        raise typer.Exit(error.exit_code if isinstance(error, NetslimError) else 1) from error


def _was_stopped(error: BaseException) -> bool:
    """Whether an error was made of a signal's exception, as Python does with one that comes while a class is made."""
    cause = error.__cause__
    return cause is not None and (isinstance(cause, signals.Stopped) or _was_stopped(cause))


def _interrupted(number: int) -> typer.Exit:
    _complain(signals.line(number))
    return typer.Exit(128 + number)


def _complain(text: str, patience: float = 0.0) -> None:
    """One line on standard error, from one of the processes that end together."""
    from netslim.core.launch import may_speak

    if may_speak(patience):
        _say_on_stderr(text)


def _say_on_stderr(text: str) -> None:
    with suppress(OSError):  # of a terminal that was closed
        typer.echo(text, err=True)


def _explained(error: BaseException, settings: Iterable[str]) -> str:
    """One line for what can be mended, for what the machine refused or ran out of, and for a mistake of the program."""
    from netslim.core.plugins.references import blamed

    if isinstance(error, NetslimError):
        return " ".join(str(error).split())
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError) or "out of memory" in text.lower() or "can't allocate memory" in text.lower():
        smaller = [f"a smaller `{name}`" for name in _OF_MEMORY if name in settings]
        smaller += ["`accumulate=2`"] if "accumulate" in settings else []
        return f"out of memory{f'; try {either(smaller)}' if smaller else ''}"
    if said := blamed(error):
        return said
    if isinstance(error, OSError):
        return f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"
    shown = text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
    return f"unexpected {type(error).__name__}: {shown}; run with --debug for the traceback"


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line; exits with 0, 2 for usage errors, 1 for other errors, 130/143 when interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name from a file may hold what the terminal's encoding does not
            stream.reconfigure(errors="backslashreplace")
    typed = sys.argv[1:] if arguments is None else arguments
    try:
        code = app(args=typed, prog_name="netslim", standalone_mode=False)
    except Exception as error:
        if not hasattr(error, "format_message"):  # no usage error of typer's, whose class has no public name
            raise
        said = of_verb(error, f"netslim {typed[0]}" if typed and typed[0] in VERBS else "netslim", typed)
        _complain(f"netslim: error: {said}" if said else str(error), patience=_PATIENCE)
        code = 2
    sys.exit(code if isinstance(code, int) else 0)
