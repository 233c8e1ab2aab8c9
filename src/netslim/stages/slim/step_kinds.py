"""The verbs that a recipe is made of: what each is run by, what it starts from, and which file it leaves."""

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netslim.core.config import StageConfig
from netslim.stages.shared import plugins


@dataclass(frozen=True, kw_only=True)
class StepKind:
    """A verb as a step, by the names of what it needs: nothing is imported before it is used.

    Attributes:
        folder: where in `stages/` it lives.
        config_class: its settings, in that folder's `config`.
        module: what runs it, in that folder.
        start: the setting that names the file that it starts from; empty for a step that starts from none.
        needed: whether it can't do without that file.
        output: the setting that says where it writes; empty for one that only says something.
        network: the network file that it leaves, in its folder; empty if it leaves none.
        checks: functions that find settings which contradict each other, as `module.function` of that folder.
    """

    folder: str
    config_class: str
    module: str = "run"
    start: str = "model"
    needed: bool = True
    output: str = "save"
    network: str = ""
    checks: tuple[str, ...] = ()

    @property
    def several(self) -> bool:
        """Whether it starts from several files."""
        return self.start == "files"

    def settings(self) -> type[StageConfig]:
        """The class of its settings; loads no torch."""
        found: type[StageConfig] = getattr(self._load("config"), self.config_class)
        return found

    def run(self, config: StageConfig) -> dict[str, Any]:
        """Does the step; returns what it found."""
        found: dict[str, Any] = self._load(self.module).run(config)
        return found

    def check(self, config: StageConfig) -> None:
        """Raises UsageError for settings that contradict each other, before anything is done."""
        for place in self.checks:
            module, function = place.split(".")
            getattr(self._load(module), function)(config)

    def writes_to(self, folder: Path, settings: dict[str, Any]) -> dict[str, Path]:
        """The setting that makes it write into its folder."""
        if self.output == "output":
            return {"output": folder / (self.network or _exported(settings))}
        return {self.output: folder} if self.output else {}

    def _load(self, module: str) -> Any:
        return importlib.import_module(f"netslim.stages.{self.folder}.{module}")


def _exported(settings: dict[str, Any]) -> str:
    """Name of an export of a target: a file with the target's ending, or a folder."""
    target = str(settings.get("target", "onnx"))
    suffix = plugins.TARGETS.declared().get(target, {}).get("suffix")
    return f"small{suffix}" if suffix else f"small-{target}"


KINDS = {
    "transfer": StepKind(
        folder="transfer",
        config_class="TransferConfig",
        start="",
        output="output",
        network="transferred.pth.tar",
        checks=("settings.check",),
    ),
    "train": StepKind(
        folder="train",
        config_class="TrainConfig",
        start="resume",
        needed=False,
        network="model_best.pth.tar",
        checks=("run.check",),
    ),
    "prune": StepKind(
        folder="prune",
        config_class="PruneConfig",
        network="pruned.pth.tar",
        checks=("planning.check_budget", "rounds.check_rounds"),
    ),
    "evaluate": StepKind(folder="evaluate", config_class="EvaluateConfig", output=""),
    "export": StepKind(folder="export", config_class="ExportConfig", output="output", checks=("run.check",)),
    "bench": StepKind(folder="bench", config_class="BenchConfig", start="files", checks=("run.check",)),
    "sweep": StepKind(folder="analyze", config_class="SweepConfig", module="sweep"),
    "sensitivity": StepKind(folder="analyze", config_class="SensitivityConfig", module="sensitivity"),
}
