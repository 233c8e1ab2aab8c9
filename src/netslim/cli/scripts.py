"""The guide's scripts (`main.py`, `resprune.py`, `transfer_weights.py`) and the other two of the original.

Old arguments -> new ones.
"""

import argparse
import functools
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from netslim.cli.app import main as netslim
from netslim.cli.mistakes import of_script
from netslim.cli.next_command import launcher, writing
from netslim.core.errors import either
from netslim.stages.shared.plugins import LIBRARIES, STRATEGIES, architectures, library_networks


def run(script: str) -> None:
    """Runs one of the guide's scripts with the process's arguments, as `netslim` would run it."""
    started = Path(sys.argv[0])
    by_name = started.name == script

    def program(verb: str, other: str) -> list[str]:
        return [*launcher(verb), str(started.with_name(other))] if by_name else [installed_name(other)]

    translated = translate(script, sys.argv[1:], program=script if by_name else installed_name(script))
    with writing(functools.partial(script_command, program=program)):
        netslim(translated)


def run_installed() -> None:
    """Runs the script that the process is called after: `netslim-main` is `main.py`, wherever netslim is installed."""
    run(next(script for script in _SCRIPTS if installed_name(script) == Path(sys.argv[0]).stem))


def installed_name(script: str) -> str:
    """The command that an installed netslim has for a script: `transfer_weights.py` -> `netslim-transfer-weights`."""
    return f"netslim-{script.removesuffix('.py').replace('_', '-')}"


def script_command(
    verb: str,
    settings: Mapping[str, Any],
    network: Mapping[str, Any],
    program: Callable[[str, str], list[str]],
) -> str | None:
    """The command line of the guide's script that does a step, or None if it has no flag for something.

    Args:
        verb: "train" or "prune".
        settings: what must be said.
        network: architecture, depth and stem, which the scripts ask for.
        program: the words that start a script, for the verb that it does.
    """
    arch = network.get("arch", "resnet")
    script = "main.py" if verb == "train" else _PRUNERS.get(arch, "resprune.py")
    flags = {action.dest: action.option_strings for action in _SCRIPTS[script][0]()._actions}
    asked = flags.keys() - ({"arch"} if verb == "prune" else set())  # a file says it, unless it is the user's own code
    values = {**settings, **{name: value for name, value in network.items() if name in asked}}
    if values.get("device") == "cpu":
        values = {**values, "no_cuda": True}
        del values["device"]
    if values.keys() - flags.keys():
        return None
    words = [word for name, value in values.items() for word in _words(flags[name], value)]
    return shlex.join([*program(verb, script), *words])


def _words(names: Sequence[str], value: Any) -> list[str]:
    short = next((name for name in names if not name.startswith("--")), names[0])
    return [short] if value is True else [short, str(value)]


def translate(script: str, arguments: Sequence[str], program: str = "") -> list[str]:
    """The `netslim` command line that does what `script arguments` means; messages call the script `program`.

    Flags, names and defaults are the original scripts'. They choose the model on the test set, as the original does.
    Unknown flags end in one line with the nearest ones and exit code 2.
    """
    make, to_new = _SCRIPTS[script]
    parser = make()
    parser.prog = program or script
    return to_new(parser.parse_args(arguments))


def _main_parser() -> argparse.ArgumentParser:
    parser = _parser("main.py", "train: from scratch, from a file (--resume), or a pruned network (--refine)")
    add = parser.add_argument
    add("--dataset", default="cifar100", help="training data set (default: cifar100)")
    add("--sparsity-regularization", "-sr", action="store_true", help="train with channel sparsity regularization")
    add("--s", type=float, default=1e-4, help="scale sparse rate (default: 0.0001)")
    add("--refine", default="", metavar="PATH", help="pruned network to fine-tune")
    add("--batch-size", type=int, default=64, metavar="N", help="images per training step (default: 64)")
    add("--test-batch-size", type=int, default=256, metavar="N", help="images per test batch (default: 256)")
    add("--epochs", type=int, default=160, metavar="N", help="number of epochs (default: 160)")
    add("--start-epoch", type=int, default=0, metavar="N", help="number of the first epoch (default: 0)")
    add("--lr", type=float, default=0.1, metavar="LR", help="learning rate (default: 0.1)")
    add("--momentum", type=float, default=0.9, metavar="M", help="SGD momentum (default: 0.9)")
    add("--weight-decay", "--wd", type=float, default=1e-4, metavar="W", help="weight decay (default: 1e-4)")
    add("--resume", default="", metavar="PATH", help="file whose weights a new phase starts from")
    add("--no-cuda", action="store_true", help="train on the CPU")
    add("--seed", type=int, default=1, metavar="S", help="random seed (default: 1)")
    add("--log-interval", type=int, default=100, metavar="N", help="batches between log lines (default: 100)")
    add("--save", default="./logs", metavar="PATH", help="folder of this run (default: ./logs)")
    add("--arch", default="vgg", help=f"{architectures()}, or code of your own as FILE.py:NAME (default: vgg)")
    add("--depth", type=int, default=19, help="depth of the network, where its name does not say it (default: 19)")
    add("--stem", default="", help=f"imagenet or cifar, with --arch {either(library_networks())} (default: imagenet)")
    add("--precision", default="auto", help="fp32, bf16, fp16 or auto (default: auto)")
    return parser


def _main(args: argparse.Namespace) -> list[str]:
    new = ["train", "--select-on", "test", *_data(args)]
    new += _flag(args, "depth") if _has_depth(args.arch) else []
    for name in ("dataset", "arch", "stem", "s", "epochs", "start_epoch", "batch_size", "test_batch_size", "lr"):
        new += _flag(args, name)
    for name in ("momentum", "weight_decay", "seed", "log_interval", "precision", "resume", "refine"):
        new += _flag(args, name)
    new += ["--sparsity-regularization"] if args.sparsity_regularization else []
    return [*new, "--save", args.save or "."]


def _prune_parser(script: str, family: str, depth: int) -> argparse.ArgumentParser:
    parser = _parser(script, f"remove the channels of a {family} whose BatchNorm scale is small")
    add = parser.add_argument
    add("--dataset", default="cifar100", help="data set for the accuracy (default: cifar100)")
    add("--test-batch-size", type=int, default=256, metavar="N", help="images per test batch (default: 256)")
    add("--no-cuda", action="store_true", help="work on the CPU")
    add("--depth", type=int, default=depth, help=f"depth of the {family} (default: {depth})")
    add("--arch", default="", metavar="FILE.py:NAME", help="your own code's network, if the file holds one")
    add("--percent", type=float, default=0.5, help="share of the channels to remove (default: 0.5)")
    add("--absorb", action="store_true", help="keep the constants that the removed channels gave to later layers")
    add("--recalibrate", type=int, default=0, metavar="N", help="batches for BatchNorm statistics (default: 0)")
    add("--model", default="", metavar="PATH", help="checkpoint of the network to prune")
    add("--save", default="", metavar="PATH", help="folder for the pruned network (default: the current one)")
    return parser


def _prune(args: argparse.Namespace) -> list[str]:
    new = ["prune", *([args.model] if args.model else []), *_data(args)]
    new += _flag(args, "depth") if _has_depth(args.arch) else []
    for name in ("dataset", "arch", "percent", "test_batch_size", "recalibrate"):
        new += _flag(args, name)
    return [*new, "--absorb" if args.absorb else "--no-absorb", "--no-carry-momentum", "--save", args.save or "."]


def _transfer_parser() -> argparse.ArgumentParser:
    parser = _parser("transfer_weights.py", "weights of a torchvision or timm ResNet into a prunable one")
    add = parser.add_argument
    add("--source", default="torchvision", help=f"{either(LIBRARIES.names())} (default: torchvision)")
    add("--model-name", default="resnet50", help="name of the source network (default: resnet50)")
    add("--dataset", default="", help="target data set (default: cifar10; with --arch same the source's classes stay)")
    add("--arch", default="", help=f"{either(['resnet', 'same', *library_networks()])} (default: resnet)")
    add("--depth", type=int, default=164, help="depth of the prunable ResNet, 9n+2 (default: 164)")
    add("--stem", default="", help="imagenet or cifar, with any --arch but resnet (default: imagenet)")
    add("--strategy", default="", help=f"{either(STRATEGIES.names())} (default: select; exact for a library's network)")
    add("--num-classes", default="", metavar="N", help="number of classes (default: the data set's)")
    add("--recalibrate", default="", metavar="N", help="batches of images for BatchNorm statistics")
    add("--report", default="", metavar="FILE", help="JSON file for what became of every key")
    add("--verbose", action="store_true", help="print what became of every key, too")
    add("--plot", default="", metavar="FILE", help="picture of which block went where")
    add("--output", default="transferred_model.pth.tar", metavar="PATH", help="file to write")
    add("--no-pretrained", action="store_true", help="source without pretrained weights (for testing)")
    add("--weights", default="", metavar="PATH", help="the source's weights from this file")
    return parser


def _transfer(args: argparse.Namespace) -> list[str]:
    new = ["transfer"]
    if _has_depth(args.arch):
        new += [*_flag(args, "depth"), *([] if args.dataset else ["--dataset", "cifar10"])]
    for name in ("source", "model_name", "dataset", "output", "weights", "arch", "stem", "strategy", "num_classes"):
        new += _flag(args, name)
    for name in ("recalibrate", "report", "plot", "data_dir"):
        new += _flag(args, name)
    new += ["--no-pretrained"] if args.no_pretrained else []
    return [*new, *(["--verbose"] if args.verbose else []), *_common(args)]


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Ends with 2 after the line."""
        self.exit(2, f"{self.prog}: error: {of_script(message, self._option_string_actions, self.prog)}\n")


def _parser(script: str, description: str) -> argparse.ArgumentParser:
    parser = _Parser(prog=script, description=description, allow_abbrev=False)
    parser.add_argument(
        "--data-dir", default="", metavar="DIR", help="data sets (default: $NETSLIM_DATA_DIR or ./data)"
    )
    if script != "transfer_weights.py":
        parser.add_argument("--unverified-data", action="store_true", help="accept data files with another hash")
    parser.add_argument("--json", default="", metavar="FILE", help="write what was printed as data, too")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def _data(args: argparse.Namespace) -> list[str]:
    new = ["--device", "cpu"] if args.no_cuda else []
    new += ["--unverified-data"] if args.unverified_data else []
    return [*new, *_flag(args, "data_dir"), *_common(args)]


def _common(args: argparse.Namespace) -> list[str]:
    return [*_flag(args, "json"), *(["--debug"] if args.debug else [])]


def _has_depth(arch: str) -> bool:
    """Whether it is a network of netslim's own: a library's says its depth by name, the user's code as it likes."""
    return arch != "same" and "/" not in arch and ":" not in arch


def _flag(args: argparse.Namespace, name: str) -> list[str]:
    value = getattr(args, name)
    return [] if value == "" else [f"--{name.replace('_', '-')}", str(value)]


_SCRIPTS: dict[str, tuple[Callable[[], argparse.ArgumentParser], Callable[[argparse.Namespace], list[str]]]] = {
    "main.py": (_main_parser, _main),
    "resprune.py": (functools.partial(_prune_parser, "resprune.py", "ResNet", 164), _prune),
    "vggprune.py": (functools.partial(_prune_parser, "vggprune.py", "VGG", 19), _prune),
    "denseprune.py": (functools.partial(_prune_parser, "denseprune.py", "DenseNet", 40), _prune),
    "transfer_weights.py": (_transfer_parser, _transfer),
}
_PRUNERS = {"vgg": "vggprune.py", "densenet": "denseprune.py"}
