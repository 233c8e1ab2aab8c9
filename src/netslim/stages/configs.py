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
    reinitialize: bool = Setting(False, "with --refine: keep the file's shape alone, and start from new weights")
    sparsity_regularization: bool = Setting(False, "train with a penalty on BatchNorm scales", flags=["-sr"])
    s: float = Setting(1e-4, "strength of the penalty", ge=0)
    penalty: str = Setting("l1", "l1 (subgradient), proximal (L1 with exact zeros) or polarization")
    penalty_warmup: float = Setting(0.0, "epochs in which the penalty's strength rises from 0", ge=0)
    penalty_schedule: str = Setting(
        "constant", "the penalty's strength after that: constant, linear or cosine (down to 0), or lr (as the rate)"
    )
    penalty_weights: str = Setting("equal", "share of each scale in the penalty: equal, or macs (what it frees)")
    polarity: float = Setting(1.2, "t of the polarization: how much it shrinks beside what it separates", ge=0)
    scale_decay: bool | None = Setting(
        None, "weight decay on BatchNorm scales; default: yes, but not with the penalties other than l1"
    )
    teacher: Path | None = Setting(None, "trained network (the unpruned one) whose logits count in the loss")
    teacher_weight: float = Setting(0.5, "share of the teacher in the loss", gt=0, le=1)
    temperature: float = Setting(4.0, "temperature of the teacher's and the network's logits", gt=0)
    epochs: int = Setting(160, "number of epochs", ge=1)
    start_epoch: int = Setting(0, "number of the first epoch, for the schedule", ge=0)
    batch_size: int = Setting(64, "images per step, over all processes", ge=1, le=1_000_000)
    test_batch_size: int = Setting(256, "images per evaluation batch", ge=1, le=1_000_000, free=True)
    lr: float = Setting(0.1, "base learning rate", gt=0)
    schedule: str = Setting("step", "step (x0.1 at 50 % and 75 %), cosine or onecycle")
    momentum: float = Setting(0.9, "SGD momentum", ge=0, lt=1)
    nesterov: bool = Setting(False, "Nesterov momentum")
    weight_decay: float = Setting(1e-4, "weight decay", ge=0, flags=["--wd"])
    label_smoothing: float = Setting(0.0, "label smoothing", ge=0, lt=1)
    clip_grad_norm: float | None = Setting(None, "largest norm of all gradients together", gt=0)
    accumulate: int = Setting(1, "work a batch off in this many parts", ge=1)
    sync_bn: bool = Setting(False, "with torchrun: BatchNorm statistics over all processes, not of each its own")
    select_on: str = Setting("val", "split that chooses model_best.pth.tar: val (held out of the training set) or test")
    val_share: float = Setting(0.1, "share of the training set held out for --select-on val", gt=0, lt=1)
    precision: str = Setting("auto", "fp32 (exact), bf16, fp16, or auto: the fastest in a short probe")
    capture: str = Setting(
        "auto", "on a GPU: graphs (recorded steps), compile (and compiled), off, or auto: graphs", free=True
    )
    seed: int = Setting(1, "seed of everything random")
    log_interval: int = Setting(100, "batches between plain log lines", ge=1, free=True)
    save: Path = Setting(Path("logs"), "folder of this run", free=True)


class PruneConfig(DataConfig):
    """Removal of the channels with the smallest scales."""

    model: Path = Setting(..., "checkpoint of the network to prune")
    dataset: str | None = Setting(None, "data set for the accuracy; default: the one in the file")
    depth: int | None = Setting(None, "expected depth; default: whatever the file holds")
    percent: float | None = Setting(
        None, "share of all channels to remove, from 0 up to but not including 1; default: 0.5 without another budget"
    )
    target_params: str | float | None = Setting(None, "parameters that remain: a share (0.5) or a number (1.2M)")
    target_macs: str | float | None = Setting(None, "MACs that remain: a share (0.5) or a number (120M)")
    target_latency: str | float | None = Setting(
        None, "time that remains, measured on this machine: a share (0.6), or a time for a batch (3ms)"
    )
    latency_batch: int = Setting(1, "images per batch for --target-latency", ge=1)
    min_channels: int = Setting(1, "channels that every layer keeps at least; 0: whole blocks may go", ge=0)
    round_to: int = Setting(1, "make the layers' widths multiples of this", ge=1)
    only: str | None = Setting(None, "prune these layers alone: names or patterns (layer1*) with commas between")
    ignore: str | None = Setting(None, "leave these layers as they are: names or patterns with commas between")
    per_layer: bool = Setting(False, "the same share of every layer's channels goes, not the lowest over all layers")
    residual: str | None = Setting(None, "residual streams: select, or couple; default: as the network declares")
    criterion: str = Setting(
        "bn_scale",
        "how channels are scored: bn_scale, bn_scale_macs, l1_norm, l2_norm, taylor, geometric_median or random",
    )
    seed: int = Setting(1, "seed of the random criterion, and of the images that others look at")
    test_batch_size: int = Setting(256, "images per evaluation batch", ge=1, le=1_000_000, free=True)
    absorb: bool = Setting(True, "keep the constants that the removed channels' BatchNorm shifts gave to later layers")
    recalibrate: int | None = Setting(
        None, "batches of 128 training images for BatchNorm statistics; default: 20 if there are any; 0: none", ge=0
    )
    carry_momentum: bool = Setting(True, "keep the momentum of what stays, if the file has any, for the fine-tuning")
    steps: int = Setting(1, "prune in this many rounds, with training between them", ge=1, le=100)
    epochs: int = Setting(1, "with --steps: epochs of training between two rounds", ge=1)
    lr: float = Setting(0.01, "with --steps: base learning rate", gt=0)
    schedule: str = Setting("cosine", "with --steps: step, cosine or onecycle")
    batch_size: int = Setting(64, "with --steps: images per step of training", ge=1, le=1_000_000)
    precision: str = Setting("auto", "with --steps: fp32 (exact), bf16, fp16, or auto: the fastest in a short probe")
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


class TrialConfig(DataConfig):
    """Prunings of a network that are tried without training."""

    model: Path = Setting(..., "checkpoint of the network")
    dataset: str | None = Setting(None, "data set for the accuracy; default: the one in the file")
    criterion: str = Setting("bn_scale", "how channels are scored")
    min_channels: int = Setting(1, "channels that every layer keeps at least", ge=1)
    residual: str | None = Setting(None, "residual streams: select, or couple; default: as the network declares")
    split: str = Setting("val", "images that judge: val (held out of the training set) or test")
    recalibrate: int = Setting(
        20, "batches of 128 training images for BatchNorm statistics, for a second accuracy; 0: none", ge=0
    )
    test_batch_size: int = Setting(256, "images per evaluation batch", ge=1, le=1_000_000, free=True)


class SweepConfig(TrialConfig):
    """Accuracy, size and speed right after pruning, over a range of budgets."""

    percents: str | None = Setting(
        None, "shares of the channels to remove, with commas between; default: 0.1 to 0.9 in steps of 0.1"
    )
    target_macs: str | None = Setting(None, "MACs that remain instead, with commas between: 0.8,0.6 or 120M,80M")
    criterion: str = Setting("bn_scale", "how channels are scored; several with commas between")
    latency_batch: int = Setting(1, "images per call whose time is measured; 0: no times", ge=0)
    save: Path = Setting(Path("sweep"), "folder for sweep.csv and sweep.png", free=True)


class SensitivityConfig(TrialConfig):
    """What each layer's channels are worth: some of one layer's go, and nothing else."""

    shares: str = Setting("0.25,0.5,0.75", "shares of a layer's channels to remove, with commas between")
    recalibrate: int = Setting(
        0, "batches of 128 training images for BatchNorm statistics, for a second accuracy; 0: none", ge=0
    )
    images: int = Setting(1000, "number of images that judge, drawn from the split", ge=1)
    save: Path = Setting(Path("sensitivity"), "folder for sensitivity.csv and sensitivity.png", free=True)


class ExportConfig(StageConfig):
    """A network made for inference, in a file."""

    model: Path = Setting(..., "checkpoint of the network")
    target: str = Setting("onnx", "kind of file: onnx, pt2, eager (PyTorch code) or safetensors (to train on)")
    output: Path | None = Setting(None, "file (.onnx, .pt2) or folder to write; default: beside the checkpoint")
    image_size: int | None = Setting(None, "side of the square images; default: the one in the checkpoint", ge=1)
    selection: str | None = Setting(None, "channel selections as gather or zeros; default: the faster, measured")
    pad: int | None = Setting(None, "widths become multiples of this; default: the fastest of 1, 8, 16, measured", ge=1)
    layout: str | None = Setting(None, "memory layout, nchw or nhwc; default: the faster that the target has, measured")
    bounds: bool | None = Setting(
        None, "BatchNorm and ReLU before convolutions as one bound per channel; default: the faster, measured"
    )
    batch_size: int = Setting(1, "images per call when forms are measured", ge=1)
    seconds: float = Setting(0.3, "measured time per form", gt=0)


class BenchConfig(StageConfig):
    """Speed and memory of networks side by side."""

    files: list[Path] = Setting(
        ..., "checkpoints (.pth.tar), exported folders, .safetensors, .onnx or .pt2; the first is the baseline"
    )
    engines: str = Setting("eager,onnxruntime", "what runs them: eager, compiled, onnxruntime; with commas between")
    batch_sizes: str = Setting("1,128", "images per call, with commas between")
    threads: str | None = Setting(None, "processor threads, with commas between; default: all cores")
    image_size: int | None = Setting(None, "side of the square images; default: the first file's", ge=1)
    seconds: float = Setting(1.0, "measured time per file, engine, batch size and number of threads", gt=0)
    memory: bool = Setting(True, "measure peak memory, in a process of its own for each")
    save: Path = Setting(Path("bench"), "folder for bench.csv and bench.png", free=True)
