"""Settings of `netslim train`; nothing heavy is imported here, since the command line's help is made from it."""

from pathlib import Path

from netslim.core.config import RUN_FILES, Setting, with_options
from netslim.core.errors import either
from netslim.core.runs.file_names import BEST, CHECKPOINT
from netslim.stages.shared import plugins
from netslim.stages.shared.config import SEED, VAL_SHARE, TaskConfig
from netslim.training.schedule import SCHEDULES

_PENALTIES = plugins.PENALTIES.declared()
_DECAYING = [name for name, record in _PENALTIES.items() if record.get("decays_scales")]
_DEPTHS = {name: record["depths"] for name, record in plugins.ARCHITECTURES.declared().items() if "depths" in record}


@with_options(plugins.PENALTIES.options(), "penalty")
class TrainConfig(TaskConfig):
    """One phase of training: from scratch, from a file's weights, or of a pruned network."""

    dataset: str = Setting("digits", f"data set to train on: {plugins.or_own(plugins.DATASETS)}", group="Data")
    arch: str = Setting(
        "resnet",
        f"architecture, where no file names it: {plugins.architectures()}, or {plugins.OWN}",
        group="Network",
    )
    loss: str = Setting("cross_entropy", plugins.or_own(plugins.LOSSES), group="Task", added=True)
    metric: str = Setting(
        "accuracy",
        f"what chooses the model and is reported: {plugins.or_own(plugins.METRICS)}",
        group="Task",
        added=True,
    )
    depth: int | None = Setting(
        None,
        f"depth; default: the file's, else the family's: {'; '.join(map(' '.join, _DEPTHS.items()))}",
        group="Network",
    )
    stem: str | None = Setting(
        None, "first layers of a library's network: imagenet (default), or cifar: small images", group="Network"
    )
    resume: Path | None = Setting(
        None,
        "start from this file's weights (a new phase: epoch 0, this command's settings)",
        group="Network",
        reads="own",
    )
    refine: Path | None = Setting(
        None, "rebuild the pruned network in this file and fine-tune it", group="Network", reads="own"
    )
    reinitialize: bool = Setting(
        False, "with --refine: keep the file's shape alone, and start from new weights", group="Network"
    )
    sparsity_regularization: bool = Setting(
        False, "train with a penalty on BatchNorm scales", group="Penalty", aliases=["-sr"]
    )
    s: float = Setting(1e-4, "strength of the penalty", group="Penalty", ge=0)
    penalty: str = Setting("l1", either(plugins.summarised(plugins.PENALTIES)), group="Penalty")
    penalty_warmup: float = Setting(0.0, "epochs in which the penalty's strength rises from 0", group="Penalty", ge=0)
    penalty_schedule: str = Setting(
        "constant",
        "the penalty's strength after that: constant, linear or cosine (down to 0), or lr (as the rate)",
        group="Penalty",
    )
    penalty_weights: str = Setting(
        "equal", "share of each scale in the penalty: equal, or macs (what it frees)", group="Penalty"
    )
    scale_decay: bool | None = Setting(
        None,
        f"weight decay on BatchNorm scales; default: yes, but not with penalties other than {', '.join(_DECAYING)}",
        group="Penalty",
    )
    prune_zeros: bool = Setting(
        False,
        "with penalty proximal: after each epoch, cut the channels whose scale is zero, and train on with the rest",
        group="Penalty",
        added=True,
    )
    teacher: Path | None = Setting(
        None, "trained network (the unpruned one) whose logits count in the loss", group="Teacher", reads=True
    )
    teacher_weight: float = Setting(0.5, "share of the teacher in the loss", group="Teacher", gt=0, le=1)
    temperature: float = Setting(4.0, "temperature of the teacher's and the network's logits", group="Teacher", gt=0)
    epochs: int = Setting(160, "number of epochs", group="Optimisation", ge=1)
    start_epoch: int = Setting(0, "number of the first epoch, for the schedule", group="Optimisation", ge=0)
    batch_size: int = Setting(64, "images per step, over all processes", group="Optimisation", ge=1, le=1_000_000)
    test_batch_size: int = Setting(256, "images per evaluation batch", group="Run", ge=1, le=1_000_000, free=True)
    lr: float = Setting(0.1, "base learning rate", group="Optimisation", gt=0)
    schedule: str = Setting("step", f"{either(SCHEDULES)}; step is x0.1 at 50 % and 75 %", group="Optimisation")
    optimizer: str = Setting("sgd", plugins.or_own(plugins.OPTIMIZERS), group="Optimisation", added=True)
    momentum: float = Setting(0.9, "SGD momentum", group="Optimisation", ge=0, lt=1)
    nesterov: bool = Setting(False, "Nesterov momentum", group="Optimisation")
    weight_decay: float = Setting(1e-4, "weight decay", group="Optimisation", ge=0, aliases=["--wd"])
    label_smoothing: float = Setting(0.0, "label smoothing", group="Optimisation", ge=0, lt=1)
    clip_grad_norm: float | None = Setting(None, "largest norm of all gradients together", group="Optimisation", gt=0)
    accumulate: int = Setting(
        1, "split each batch into this many parts (gradient accumulation)", group="Optimisation", ge=1
    )
    sync_bn: bool = Setting(
        False, "with torchrun: BatchNorm statistics over all processes, not of each its own", group="Optimisation"
    )
    patience: float = Setting(
        60.0,
        "with torchrun: seconds without a sign of life after which a process is given up",
        group="Run",
        ge=5,
        free=True,
    )
    select_on: str = Setting(
        "val", "split that chooses model_best.pth.tar: val (held out of the training set) or test", group="Data"
    )
    val_share: float = Setting(
        VAL_SHARE, "share of the training set held out for --select-on val", group="Data", gt=0, lt=1
    )
    precision: str = Setting("auto", "fp32 (exact), bf16, fp16, or auto: the fastest in a short probe", group="Run")
    capture: str = Setting(
        "auto",
        "on a GPU: graphs (recorded steps), compile (and compiled), off, or auto: graphs",
        group="Run",
        free=True,
    )
    seed: int = Setting(SEED, "seed of everything random", group="Run")
    track: str | None = Setting(
        None,
        f"also send each epoch's numbers to {either(plugins.summarised(plugins.TRACKERS))}",
        group="Run",
        free=True,
    )
    log_interval: int = Setting(100, "batches between plain log lines", group="Run", ge=1, free=True)
    save: Path = Setting(
        Path("logs"),
        "folder of this run",
        group="Run",
        free=True,
        writes=(CHECKPOINT, BEST, *RUN_FILES),
    )
