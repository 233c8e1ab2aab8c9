"""The verbs: what runs each, and what its settings are."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
        goes_on: whether `stages/next_step` knows a step that follows.
        takes_folders: whether its stage takes folders of weights as they are, and names its output by them.
    """

    folder: str
    config_class: str
    help: str
    positional: tuple[str, ...] = ()
    module: str = "run"
    goes_on: bool = False
    takes_folders: bool = False

    def settings(self) -> type["StageConfig"]:
        """The class of its settings; loads no torch."""
        found: type[StageConfig] = getattr(self._load("config"), self.config_class)
        return found

    def stage(self) -> "Callable[[StageConfig], dict[str, Any]]":
        """The function that runs it."""
        found: Callable[[StageConfig], dict[str, Any]] = self._load(self.module).run
        return found

    def _load(self, module: str) -> Any:
        return importlib.import_module(f"netslim.stages.{self.folder}.{module}")


VERBS = {
    "slim": Verb(
        "slim", "SlimConfig", "All of it in one command: from a network to a small one, by a recipe.", ("recipe",)
    ),
    "transfer": Verb(
        "transfer", "TransferConfig", "Transfer a pretrained ResNet of a library into a prunable network.", goes_on=True
    ),
    "train": Verb(
        "train",
        "TrainConfig",
        "Train one phase: from scratch, from a file's weights, or of a pruned network.",
        goes_on=True,
    ),
    "prune": Verb(
        "prune",
        "PruneConfig",
        "Remove the channels with the smallest scales and prove the result.",
        ("model",),
        goes_on=True,
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
        "export",
        "ExportConfig",
        "Make a network for inference, in a file of some kind.",
        ("model",),
        takes_folders=True,
    ),
    "bench": Verb("bench", "BenchConfig", "Measure speed and memory of networks side by side.", ("files",)),
    "profile": Verb("profile", "ProfileConfig", "Time a network's parts, for plans in an engine.", ("model",)),
    "push": Verb(
        "push", "PushConfig", "Send a network to the Hugging Face hub, with a card.", ("model",), takes_folders=True
    ),
    "report": Verb("report", "ReportConfig", "Make one page of one or several runs, for people.", ("folders",)),
    "info": Verb("info", "InfoConfig", "Say what a checkpoint holds.", ("model",)),
    "list": Verb(
        "listing", "ListConfig", "List the names that settings take: models, datasets ...", ("kind", "pattern")
    ),
    "recipe": Verb(
        "recipe", "RecipeConfig", "Write, check or show a recipe for slim: new, check, show.", ("action", "file")
    ),
    "doctor": Verb("doctor", "DoctorConfig", "Say what this machine has, what is missing, and how to get it."),
    "demo": Verb("demo", "DemoConfig", "Run the five steps on the embedded digits."),
}
TOGETHER = ("train",)  # several processes of torchrun work on one run; any other verb is one process
