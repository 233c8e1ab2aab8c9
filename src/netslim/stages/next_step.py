"""What comes after a step, as settings: whoever shows it spells it as a command that can be typed."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netslim.core.checkpoint import Checkpoint, read_checkpoint
from netslim.core.config import StageConfig
from netslim.core.plugins.references import is_reference
from netslim.core.schemas import USUAL_TASK
from netslim.stages.shared.config import DataConfig
from netslim.stages.shared.datasets import dataset_name

FOLDERS = {"fine-tune": "./fine_tuned_model", "sparsity": "./sparsity_trained_model", "prune": "./pruned_model"}
SMALL_FOLDER = "./final_model"
SPARSITY: dict[str, Any] = {"sparsity_regularization": True, "s": 1e-5, "epochs": 40, "lr": 0.001}  # the guide's
PERCENT = 0.4  # the guide's, too

# What a next step does in the same way unless it is told otherwise, where it is not as by default.
_OF_TRAINING = ("batch_size", "accumulate", "precision")
_KEPT = {
    "train": (*DataConfig.model_fields, "workers", "test_batch_size", *_OF_TRAINING),
    "prune": (*DataConfig.model_fields, "workers"),
}
ADAPTIVE_RATE = 0.001  # what is usual for optimizers other than SGD


@dataclass(frozen=True, kw_only=True)
class NextStep:
    """A step that can follow.

    Attributes:
        why: a few words for people.
        verb: "train" or "prune".
        settings: name -> value, of what must be said.
        network: architecture, depth and stem, which stand in the file: for programs that ask for them all the same.
    """

    why: str
    verb: str
    settings: Mapping[str, Any]
    network: Mapping[str, Any]


def next_step(verb: str, config: StageConfig, result: Mapping[str, Any]) -> NextStep | None:
    """The guide's step after `verb`, or None after the last one.

    Args:
        verb: "transfer", "train" or "prune".
        config: its settings.
        result: what it came to.

    Raises:
        CheckpointError: the file that the step wrote is damaged.
    """
    if "file" not in result:
        return None
    file = _written(config, result)
    found = _following(verb, config, file)
    if found is None or not file.exists() or file.suffix == ".onnx":  # a network from an ONNX file is not trained
        return None
    checkpoint = read_checkpoint(file)
    why, following, settings = found
    save = {"save": settings.pop("save")}  # where it goes stands last
    return NextStep(
        why=why,
        verb=following,
        settings={**settings, **_kept(following, config, checkpoint), **save},
        network=_network(checkpoint),
    )


def _written(config: Any, result: Mapping[str, Any]) -> Path:
    """The step's file; a run that was finished long ago may have been moved since."""
    file = Path(result["file"])
    return config.save / file.name if hasattr(config, "save") else file


def _following(verb: str, config: Any, file: Path) -> tuple[str, str, dict[str, Any]] | None:
    """(why, verb, settings) of what the guide does then."""
    if verb == "transfer":
        return "fine-tune it before pruning", "train", {"resume": file, "save": _free(FOLDERS["fine-tune"])}
    if verb == "prune":
        return "fine-tune the small network", "train", {"refine": file, "save": _free(SMALL_FOLDER)}
    if config.sparsity_regularization:
        return "prune it", "prune", {"model": file, "percent": PERCENT, "save": _free(FOLDERS["prune"])}
    if config.refine:
        return None
    return "train it with sparsity", "train", {**SPARSITY, "resume": file, "save": _free(FOLDERS["sparsity"])}


def _kept(verb: str, config: Any, checkpoint: Checkpoint) -> dict[str, Any]:
    fields = type(config).model_fields
    given = {name: getattr(config, name) for name in _KEPT[verb] if name in fields}
    kept = {name: value for name, value in given.items() if value != fields[name].default}
    kept = {**_said_again(verb, config, checkpoint), **kept}
    facts = checkpoint.dataset or {}
    if verb == "train" and facts.get("resized"):
        kept["image_size"] = facts["image_size"][0]
    name = getattr(config, "dataset", None) or dataset_name(checkpoint)
    if name is None and verb == "prune":
        return kept
    return {"dataset": name or "NAME", **kept}


def _said_again(verb: str, config: Any, checkpoint: Checkpoint) -> dict[str, Any]:
    """What the file alone can't bring about: code of the user's own, and a training that is not the usual one."""
    found: dict[str, Any] = {}
    if checkpoint.arch is not None and is_reference(checkpoint.arch.name):
        found["arch"] = getattr(config, "arch", None) or checkpoint.arch.name
    task = checkpoint.task
    if task is not None:
        names = {"loss": task.loss, "metric": task.metric, "metric_mode": task.metric_mode}
        usual = USUAL_TASK.model_dump()
        found |= {name: value for name, value in names.items() if value != usual[name]}
    if verb == "train" and (optimizer := checkpoint.training.get("optimizer")) is not None:
        found |= {"optimizer": optimizer, "lr": ADAPTIVE_RATE}
    return found


def _network(checkpoint: Checkpoint) -> dict[str, Any]:
    if checkpoint.arch is None:
        return {}
    arguments = checkpoint.arch.arguments
    if is_reference(checkpoint.arch.name):
        return {}
    return {"arch": checkpoint.arch.name} | {name: arguments[name] for name in ("depth", "stem") if name in arguments}


def _free(folder: str) -> str:
    """The folder, or the next one of its name that is not there yet: another run's is not to be written to."""
    names = (f"{folder}{end}" for end in ("", *(f"_{number}" for number in range(2, 1000))))
    return next(name for name in names if not Path(name).exists())
