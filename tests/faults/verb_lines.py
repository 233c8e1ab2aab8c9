"""Tiny command lines of the verbs that write."""

from pathlib import Path


def verbs(images: Path, model: Path, out: Path) -> dict[str, list[object]]:
    """A command line of every verb that writes; everything goes under `out`."""
    plain: list[object] = ["--data-dir", images, "--device", "cpu"]
    return {
        "train": [
            "train", "--dataset", "folder", "--depth", 11, "--batch-size", 8, "--epochs", 2, "--precision", "fp32",
            *plain, "--save", out / "train",
        ],
        "transfer": [
            "transfer", "--no-pretrained", "--model-name", "resnet18", "--depth", 11, "--num-classes", 2,
            "--in-channels", 1, "--dataset", "folder", "--recalibrate", 0, *plain,
            "--output", out / "t.pth.tar", "--report", out / "t.json",
        ],
        "prune": ["prune", model, "--percent", 0.3, "--recalibrate", 1, *plain, "--save", out / "prune"],
        "sweep": [
            "sweep", model, "--percents", "0.3", "--recalibrate", 0, "--latency-batch", 0, *plain,
            "--save", out / "sweep",
        ],
        "export": ["export", model, "--target", "safetensors", "--output", out / "export"],
        "info": ["info", model, "--json", out / "info.json"],
    }  # fmt: skip
