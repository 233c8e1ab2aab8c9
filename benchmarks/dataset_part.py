"""A part of Fashion-MNIST or of cifar10-jpeg for slow machines: the first images, in files of the same kind."""

import argparse
import os
import shutil
from pathlib import Path

from netslim.data import load_dataset
from netslim.data.dataset import Split

NAMES = {"train": "train", "test": "t10k"}
JPEG = "cifar10-jpeg"  # a folder of images for each class, in `train` and `test` of `--data-dir`


def use_part(args: argparse.Namespace) -> None:
    """Points `args.data_dir` to the first `args.images` images, and half as many to test on, if that is asked for.

    `args.loader` is netslim's name for what is there then.
    """
    args.loader = "folder" if args.dataset == JPEG else args.dataset
    if args.images is None:
        return
    source = args.data_dir or Path("data")
    args.data_dir = args.work / "images"
    counts = (("train", args.images), ("test", args.images // 2))
    if args.dataset == JPEG:
        for part, count in counts:
            copy_part(source / part, count, args.data_dir / part)
    elif args.dataset == "fashion-mnist":
        whole = load_dataset(args.dataset, source)
        folder = args.data_dir / "FashionMNIST" / "raw"
        folder.mkdir(parents=True, exist_ok=True)
        for part, count in counts:
            write_part(getattr(whole, part), count, folder / f"{NAMES[part]}-{{}}-ubyte")
        os.environ["NETSLIM_UNVERIFIED_DATA"] = "1"  # a part has another hash
    else:
        raise SystemExit(f"--images is for fashion-mnist and {JPEG}, not for {args.dataset}")


def copy_part(source: Path, count: int, target: Path) -> None:
    """The first `count` images, as many of each class."""
    classes = sorted(folder for folder in source.iterdir() if folder.is_dir())
    for folder in classes:
        (target / folder.name).mkdir(parents=True, exist_ok=True)
        for file in sorted(folder.iterdir())[: count // len(classes)]:
            shutil.copyfile(file, target / folder.name / file.name)


def write_part(split: Split, count: int, path: Path) -> None:
    """The first `count` images and labels as idx files."""
    images, labels = split.images[:count, 0].numpy(), split.labels[:count].numpy().astype("uint8")
    for kind, values in (("images-idx3", images), ("labels-idx1", labels)):
        sizes = b"".join(size.to_bytes(4, "big") for size in values.shape)
        Path(str(path).format(kind)).write_bytes(bytes((0, 0, 8, values.ndim)) + sizes + values.tobytes())
