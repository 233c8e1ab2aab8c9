"""The stages' configurations. Nothing heavy is imported here: the command line's help is made from these classes."""

from pathlib import Path

from netslim.core.config import Setting, StageConfig

DEFAULT_STRATEGY = "select"  # of a transfer into the guide's resnet


class DataConfig(StageConfig):
    """Where images come from."""

    data_dir: Path | None = Setting(None, "folder of the data sets; default: $NETSLIM_DATA_DIR, else ./data", free=True)
    image_size: int | None = Setting(None, "side of the square images; default: the data set's own", ge=8)
    unverified_data: bool = Setting(False, "accept local data files whose hash is not the official one", free=True)
    device: str = Setting("auto", "auto, cpu, cuda or cuda:N")


class TransferConfig(DataConfig):
    """Weights of a pretrained torchvision or timm ResNet into a prunable network."""

    source: str = Setting("torchvision", "library of the source network: torchvision or timm")
    model_name: str = Setting("resnet50", "name of the source network in its library")
    arch: str = Setting("resnet", "prunable network: resnet, same (the source's own), torchvision/NAME or timm/NAME")
    depth: int | None = Setting(None, "depth of arch resnet (9n+2); default: 164")
    stem: str | None = Setting(None, "first layers of a library's network: imagenet (default), or cifar: small images")
    dataset: str | None = Setting(
        None, "data set that the network is for; default: cifar10 for arch resnet, else the source's classes stay"
    )
    num_classes: int | None = Setting(None, "number of classes; default: the data set's, else the source's", ge=1)
    in_channels: int | None = Setting(None, "input channels; default: the data set's, else the source's", ge=1)
    strategy: str | None = Setting(
        None, f"how weights find their place; default: exact for a library's network, else {DEFAULT_STRATEGY}"
    )
    last_stage: str | None = Setting(None, "strategy select: drop the source's fourth stage, or merge it")
    select_by: str | None = Setting(None, "strategy select: choose channels by spacing or by importance")
    head: str = Setting("random", "what a replaced classifier starts from: random, zero, or means of the classes")
    recalibrate: int | None = Setting(
        None, "batches of 128 training images for BatchNorm statistics; default: 20 if at hand; 0: none", ge=0
    )
    output: Path = Setting(Path("transferred_model.pth.tar"), "file to write")
    report: Path | None = Setting(None, "JSON file for what became of every key")
    plot: Path | None = Setting(None, "picture (.png, .svg, .pdf) of which block went where")
    pretrained: bool = Setting(True, "use the source's pretrained weights")
    weights: Path | None = Setting(None, "the source's weights from this file (.pth, .pth.tar, .safetensors)")
    seed: int = Setting(1, "seed of what is not transferred, and of the images that statistics come from")


class TrainConfig(DataConfig):
    """One phase of training: from scratch, from a file's weights, or of a pruned network."""

    dataset: str = Setting("digits", "data set to train on")
    arch: str = Setting(
        "resnet", "architecture, where no file names it: resnet, vgg, densenet, torchvision/NAME or timm/NAME"
    )
    depth: int | None = Setting(
        None, "depth: resnet 9n+2, vgg 11, 13, 16 or 19, densenet 3n+4; default: the file's, else 164, 19, 40"
    )
    stem: str | None = Setting(None, "first layers of a library's network: imagenet (default), or cifar: small images")
    resume: Path | None = Setting(
        None, "start from this file's weights (a new phase: epoch 0, this command's settings)"
    )
    refine: Path | None = Setting(None, "rebuild the pruned network in this file and fine-tune it")
    sparsity_regularization: bool = Setting(False, "train with the L1 penalty on BatchNorm scales", flags=["-sr"])
    s: float = Setting(1e-4, "strength of the penalty", ge=0)
    epochs: int = Setting(160, "number of epochs", ge=1)
    start_epoch: int = Setting(0, "number of the first epoch, for the schedule", ge=0)
    batch_size: int = Setting(64, "images per step", ge=1, le=1_000_000)
    test_batch_size: int = Setting(256, "images per evaluation batch", ge=1, le=1_000_000, free=True)
    lr: float = Setting(0.1, "base learning rate", gt=0)
    schedule: str = Setting("step", "step (x0.1 at 50 % and 75 %), cosine or onecycle")
    momentum: float = Setting(0.9, "SGD momentum", ge=0, lt=1)
    nesterov: bool = Setting(False, "Nesterov momentum")
    weight_decay: float = Setting(1e-4, "weight decay", ge=0, flags=["--wd"])
    label_smoothing: float = Setting(0.0, "label smoothing", ge=0, lt=1)
    clip_grad_norm: float | None = Setting(None, "largest norm of all gradients together", gt=0)
    accumulate: int = Setting(1, "work a batch off in this many parts", ge=1)
    select_on: str = Setting("val", "split that chooses model_best.pth.tar: val (held out of the training set) or test")
    val_share: float = Setting(0.1, "share of the training set held out for --select-on val", gt=0, lt=1)
    precision: str = Setting("auto", "fp32 (exact), bf16, fp16, or auto: the fastest in a short probe")
    seed: int = Setting(1, "seed of everything random")
    log_interval: int = Setting(100, "batches between plain log lines", ge=1, free=True)
    save: Path = Setting(Path("logs"), "folder of this run", free=True)


class PruneConfig(DataConfig):
    """Removal of the channels with the smallest scales."""

    model: Path = Setting(..., "checkpoint of the network to prune")
    dataset: str | None = Setting(None, "data set for the accuracy; default: the one in the file")
    depth: int | None = Setting(None, "expected depth; default: whatever the file holds")
    percent: float = Setting(0.5, "share of all channels to remove, from 0 up to but not including 1")
    min_channels: int = Setting(1, "channels that every layer keeps at least", ge=1)
    criterion: str = Setting("bn_scale", "how channels are scored")
    test_batch_size: int = Setting(256, "images per evaluation batch", ge=1, le=1_000_000, free=True)
    save: Path = Setting(Path("pruned"), "folder for pruned.pth.tar, plan.json and prune.txt", free=True)


class EvaluateConfig(DataConfig):
    """Accuracy of a checkpoint."""

    model: Path = Setting(..., "checkpoint")
    dataset: str | None = Setting(None, "data set; default: the one in the file")
    split: str = Setting("test", "train or test")
    test_batch_size: int = Setting(256, "images per batch", ge=1, le=1_000_000)


class InfoConfig(StageConfig):
    """What a checkpoint holds."""

    model: Path = Setting(..., "checkpoint")


class DemoConfig(StageConfig):
    """The five steps on the embedded digits."""

    save: Path = Setting(Path("runs/demo"), "folder for all files", free=True)
    seed: int = Setting(1, "seed of everything random")
