"""The verbs that a recipe is made of: what each is run by, what it starts from, and which file it leaves."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netslim.core.config import StageConfig
from netslim.core.runs.file_names import BEST, PRUNED, TRANSFERRED
from netslim.stages.shared import plugins
from netslim.stages.stage import STAGES, Stage


@dataclass(frozen=True, kw_only=True)
class StepKind:
    """A stage as a step.

    Attributes:
        stage: what it runs.
        start: the setting that names the file that it starts from; empty for a step that starts from none.
        needed: whether it can't do without that file.
        output: the setting that says where it writes; empty for one that only says something.
        network: the network file that it leaves, in its folder; empty if it leaves none.
        checks: functions that find settings which contradict each other, as `module.function` of its folder.
    """

    stage: Stage
    start: str = "model"
    needed: bool = True
    output: str = "save"
    network: str = ""
    checks: tuple[str, ...] = ()

    @property
    def several(self) -> bool:
        """Whether it starts from several files."""
        return self.start == "files"

    def check(self, config: StageConfig) -> None:
        """Raises UsageError for settings that contradict each other, before anything is done."""
        for place in self.checks:
            module, function = place.split(".")
            getattr(self.stage.load(module), function)(config)

    def writes_to(self, folder: Path, settings: dict[str, Any]) -> dict[str, Path]:
        """The setting that makes it write into its folder."""
        if self.output == "output":
            return {"output": folder / (self.network or _exported(settings))}
        return {self.output: folder} if self.output else {}


def _exported(settings: dict[str, Any]) -> str:
    """Name of an export of a target: a file with the target's ending, or a folder."""
    target = str(settings.get("target", "onnx"))
    suffix = plugins.TARGETS.declared().get(target, {}).get("suffix")
    return f"small{suffix}" if suffix else f"small-{target}"


KINDS = {
    "transfer": StepKind(
        stage=STAGES["transfer"],
        start="",
        output="output",
        network=TRANSFERRED,
        checks=("settings.check",),
    ),
    "train": StepKind(
        stage=STAGES["train"],
        start="resume",
        needed=False,
        network=BEST,
        checks=("run.check",),
    ),
    "prune": StepKind(
        stage=STAGES["prune"],
        network=PRUNED,
        checks=("planning.check_budget", "rounds.check_rounds"),
    ),
    "evaluate": StepKind(stage=STAGES["evaluate"], output=""),
    "export": StepKind(stage=STAGES["export"], output="output", checks=("run.check",)),
    "bench": StepKind(stage=STAGES["bench"], start="files", checks=("run.check",)),
    "sweep": StepKind(stage=STAGES["sweep"]),
    "sensitivity": StepKind(stage=STAGES["sensitivity"]),
}
