"""Share of a training's time in which its step waits for images, with image folders in memory and decoded ahead.

    python benchmarks/waiting.py [--epochs 3] [--out results/waiting.csv]

The folders are made here: JPEG files of smooth random pictures. Each case is a `netslim train` in a fresh process;
`streamed` ones are told that the images do not fit in memory. A row is the median over the epochs.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from table import write_rows

CLASSES, TEST_IMAGES = 4, 64
NETSLIM = """
import sys
from netslim.data import folder
if sys.argv[1] == "streamed":
    folder.fits = lambda size: False
from netslim.cli.app import main
main(sys.argv[2:])
"""
# architecture, training images, side of the files, side of the network's images
CASES = (
    (("--arch", "resnet", "--depth", "20"), 4096, 32, 32),
    (("--arch", "resnet", "--depth", "56"), 4096, 96, 32),
    (("--arch", "torchvision/resnet18"), 768, 256, 224),
    (("--arch", "torchvision/mobilenet_v2"), 768, 256, 224),
)


def write_folder(root: Path, images: int, side: int) -> None:
    """`train/<class>/*.jpg` and `test/<class>/*.jpg`."""
    generator = np.random.default_rng(0)
    for part, count in (("train", images), ("test", TEST_IMAGES)):
        for number in range(count):
            folder = root / part / f"class{number % CLASSES}"
            folder.mkdir(parents=True, exist_ok=True)
            coarse = Image.fromarray(generator.integers(0, 256, (8, 8, 3), dtype=np.uint8))
            coarse.resize((side, side), Image.Resampling.BICUBIC).save(folder / f"{number}.jpg", quality=90)


def trained(images: str, arch: tuple[str, ...], root: Path, side: int, epochs: int) -> dict[str, Any]:
    """What the epochs of one training log."""
    with tempfile.TemporaryDirectory() as save:
        command = [sys.executable, "-c", NETSLIM, images, "train", "--dataset", "folder", "--data-dir", str(root)]
        command += [*arch, "--image-size", str(side), "--epochs", str(epochs), "--batch-size", "64", "--save", save]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        rows = [json.loads(line) for line in (Path(save) / "metrics.jsonl").read_text().splitlines()]
    return {key: statistics.median(row[key] for row in rows) for key in ("waiting", "images_per_second")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("results/waiting.csv"))
    arguments = parser.parse_args()
    rows = []
    for arch, count, files, side in CASES:
        with tempfile.TemporaryDirectory() as root:
            write_folder(Path(root), count, files)
            for images in ("resident", "streamed"):
                found = trained(images, arch, Path(root), side, arguments.epochs)
                about = {"network": " ".join(arch[1::2]), "count": count, "files": files, "side": side}
                rows.append({**about, "images": images, "epochs": arguments.epochs, "batch": 64, **found})
    write_rows(arguments.out, rows)


if __name__ == "__main__":
    main()
