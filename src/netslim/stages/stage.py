"""The stages: where each lives, what its settings are, what runs it."""

import importlib
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Stage:
    """A stage, by the names of what it needs: nothing is imported before it is used.

    Attributes:
        folder: where in `stages/` it lives.
        config_class: its settings, in that folder's `config`.
        module: what runs it, in that folder.
    """

    folder: str
    config_class: str
    module: str = "run"

    def settings(self) -> Any:
        """The class of its settings, a `StageConfig`; loads no torch."""
        return getattr(self.load("config"), self.config_class)

    def run(self, config: Any) -> dict[str, Any]:
        """Does its work; returns what it found."""
        found: dict[str, Any] = self.load(self.module).run(config)
        return found

    def load(self, module: str) -> Any:
        """A module of its folder."""
        return importlib.import_module(f"netslim.stages.{self.folder}.{module}")


STAGES = {
    "slim": Stage("slim", "SlimConfig"),
    "transfer": Stage("transfer", "TransferConfig"),
    "train": Stage("train", "TrainConfig"),
    "prune": Stage("prune", "PruneConfig"),
    "sweep": Stage("analyze", "SweepConfig", "sweep"),
    "sensitivity": Stage("analyze", "SensitivityConfig", "sensitivity"),
    "evaluate": Stage("evaluate", "EvaluateConfig"),
    "export": Stage("export", "ExportConfig"),
    "bench": Stage("bench", "BenchConfig"),
    "profile": Stage("profile", "ProfileConfig"),
    "push": Stage("push", "PushConfig"),
    "report": Stage("report", "ReportConfig"),
    "info": Stage("info", "InfoConfig"),
    "list": Stage("listing", "ListConfig"),
    "recipe": Stage("recipe", "RecipeConfig"),
    "doctor": Stage("doctor", "DoctorConfig"),
    "demo": Stage("demo", "DemoConfig"),
}
