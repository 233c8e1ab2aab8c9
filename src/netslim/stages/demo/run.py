"""`netslim demo`: the guide's five steps on the embedded digits, with a table and a picture."""

from pathlib import Path
from typing import Any

from netslim.core.protocols import PrunePlan
from netslim.core.runs.file_names import PLAN, TRANSFERRED
from netslim.pruning.plan_data import read_plan
from netslim.report.console import say
from netslim.report.figures.phases import draw_phases
from netslim.report.tables import percent, print_table
from netslim.stages.demo.config import DemoConfig
from netslim.stages.evaluate.config import EvaluateConfig
from netslim.stages.evaluate.run import run as evaluate
from netslim.stages.prune.config import PruneConfig
from netslim.stages.prune.run import run as prune
from netslim.stages.report.run import make_page
from netslim.stages.train.config import TrainConfig
from netslim.stages.train.run import run as train
from netslim.stages.transfer.config import TransferConfig
from netslim.stages.transfer.run import run as transfer

SOURCE = Path(__file__).with_name("source.safetensors")  # trained on Fashion-MNIST: `recipes/demo_source.py`
DEPTH = 20
EPOCHS = 12
PENALTY = 1e-2
PERCENT = 0.6
SHARED: dict[str, Any] = {
    "dataset": "digits",
    "epochs": EPOCHS,
    "batch_size": 32,
    "schedule": "onecycle",
    "lr": 0.1,
    "precision": "fp32",
}


def run(config: DemoConfig) -> dict[str, Any]:
    """Runs transfer, fine-tuning, sparsity training, pruning and fine-tuning into `config.save`.

    Cut off, it goes on where it stopped. Returns `phases`: per phase `phase, top1, params, macs, file, seconds`, the
    transfer first and the final network last. `top1` is measured on the test images, which choose nothing: a part of
    the training images does.
    """
    save, seed = config.save, config.seed
    start = save / TRANSFERRED
    moved = transfer(
        TransferConfig(
            source="timm",
            model_name="test_resnet",
            weights=SOURCE,
            dataset="digits",
            depth=DEPTH,
            output=start,
            seed=seed,
        )
    )
    tuned = train(TrainConfig(**SHARED, seed=seed, resume=start, save=save / "fine-tuned"))
    sparse = train(
        TrainConfig(
            **SHARED,
            seed=seed,
            resume=Path(tuned["file"]),
            sparsity_regularization=True,
            s=PENALTY,
            save=save / "sparse",
        )
    )
    pruned = prune(PruneConfig(model=Path(sparse["file"]), percent=PERCENT, reconstruct=0, save=save / "pruned"))
    final = train(TrainConfig(**SHARED, seed=seed, refine=Path(pruned["file"]), save=save / "final"))
    untrained = evaluate(EvaluateConfig(model=start, dataset="digits"))
    moved = {**moved, "top1": untrained["top1"], "macs": untrained["macs"]}
    steps = {"transfer": moved, "fine-tune": tuned, "sparsity": sparse, "prune": pruned, "fine-tune pruned": final}
    phases = [_phase(name, result) for name, result in steps.items()]
    plan = read_plan(save / "pruned" / PLAN)
    gain = _two_epochs(start, seed, save / "two-epochs")
    make_page(save)
    moved_top1, new_top1 = percent(gain["transferred"]), percent(gain["scratch"])
    say(f"test accuracy after two epochs: {moved_top1} from the source's weights, {new_top1} from new ones")
    _show(phases, plan, save / "demo.png")
    facts = {"channels": pruned["channels"], "kept": pruned["kept"], "seed": seed}
    return {"phases": phases, "two_epochs": gain, **facts}


def _two_epochs(start: Path, seed: int, save: Path) -> dict[str, float]:
    """What the transfer is worth: test accuracy after two epochs, from its weights and from new ones."""
    two = {**SHARED, "seed": seed, "epochs": 2}
    starts: dict[str, dict[str, Any]] = {"transferred": {"resume": start}, "scratch": {"depth": DEPTH}}
    return {name: train(TrainConfig(**two, **given, save=save / name))["test_top1"] for name, given in starts.items()}


def _phase(name: str, result: dict[str, Any]) -> dict[str, Any]:
    return {
        "phase": name,
        "top1": result.get("test_top1", result.get("top1")),
        "params": result["params"],
        "macs": result["macs"],
        "file": result["file"],
        "bytes": Path(result["file"]).stat().st_size,
        "seconds": result["seconds"],
    }


def _show(phases: list[dict[str, Any]], plan: PrunePlan, picture: Path) -> None:
    rows = [
        (p["phase"], percent(p["top1"]), p["params"], p["macs"], p["bytes"], f"{p['seconds']:.1f}", p["file"])
        for p in phases
    ]
    print_table(["phase", "test top-1", "parameters", "MACs", "bytes", "seconds", "file"], rows)
    draw_phases(phases, plan, picture)
    say(f"kept {plan.kept:,} of {plan.total:,} channels; picture: {picture}")
